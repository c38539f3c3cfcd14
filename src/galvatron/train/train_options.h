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
inline constexpr const char* kEvaluationOptions = "Evaluation";

// "seq_length" as the command line spells it: "seq-length".
std::string dashed(std::string name);

// `job` must outlive the list.
OptionList train_options(TrainJob& job);

// What an evaluation without a training asks for beside a job.
struct EvaluationRequest {
  std::int64_t num_batches = 0;  // 0: all samples once
};

// Of the options above those that say what is evaluated, on what and by which ranks, and its own.
// Both must outlive the list.
OptionList evaluation_options(TrainJob& job, EvaluationRequest& request);
// Once they are read: the job evaluates, in the order of the data, with weights alone, a model that
// nobody names being the checkpoint's. ConfigError where the data have no end and no number of
// batches is asked for, and where the checkpoint does not say its model.
void be_evaluated(TrainJob& job, const EvaluationRequest& request);

// ConfigError where a plan and `given`, an option under kUniformOptions, are both there. `given` is
// as its user wrote it ("--tp-degree"), or empty for none.
void refuse_beside_plan(const TrainJob& job, const std::string& given, const std::string& plan);

}  // namespace galvatron::train
