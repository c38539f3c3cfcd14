// A job's text as the samples of its model's task.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>

#include "galvatron/data/sample_source.h"
#include "galvatron/data/split.h"
#include "galvatron/spec/model_spec.h"
#include "galvatron/train/train_job.h"

namespace galvatron::train {

// Of a token file pair, or synthetic. ConfigError for data that are missing, damaged or do not fit
// the model; for masking without a mask token; for text that reaches into the sentinels of span
// corruption.
std::unique_ptr<data::SampleSource> make_text_samples(const TrainJob& job,
                                                      const spec::ModelSpec& model,
                                                      std::int64_t seq_length,
                                                      data::SplitPart part);

// tokenizer.json or a folder that holds one: the job's own, else the data's, else init_from's;
// empty where there is none.
std::filesystem::path find_tokenizer(const TrainJob& job);

}  // namespace galvatron::train
