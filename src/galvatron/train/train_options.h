// The options of a training run, bound to a job: `galvatron train`, galvatron.train() and the
// record of a run are made from them.
#pragma once
#include "galvatron/base/option.h"
#include "galvatron/train/train_job.h"

namespace galvatron::train {

// Headings of the list.
inline constexpr const char* kModelOptions = "Model and data";
inline constexpr const char* kImageOptions = "Images";
inline constexpr const char* kPlanOptions = "Plan";
// What a plan replaces.
inline constexpr const char* kUniformOptions = "One strategy for all layers (without --plan)";
inline constexpr const char* kOptimizerOptions = "Optimizer";
inline constexpr const char* kRankOptions = "Ranks";
inline constexpr const char* kOutputOptions = "Output";

// "seq_length" as the command line spells it: "seq-length".
std::string dashed(std::string name);

// `job` must outlive the list.
OptionList train_options(TrainJob& job);

// ConfigError where a plan and `given`, an option under kUniformOptions, are both there. `given` is
// as its user wrote it ("--tp-degree"), or empty for none.
void refuse_beside_plan(const TrainJob& job, const std::string& given, const std::string& plan);

}  // namespace galvatron::train
