// The samples of a job: of what it names as data, for each part of the split.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/data/data_list.h"
#include "galvatron/data/sample_source.h"
#include "galvatron/data/split.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::train {

struct TrainJob;
struct PreparedJob;

// Entries of data_prints() that stand for no file, or for one that may be missing. Those of
// validation and test data have their part in front.
inline constexpr const char* kValidPrint = "valid ";
inline constexpr const char* kTestPrint = "test ";
inline constexpr const char* kBlendWeights = "weights";
inline constexpr const char* kTokenizerPrint = "tokenizer";

// Files that hold the model's data, behind their PREFIX.
std::vector<std::string> data_suffixes(const spec::ModelSpec& model);

// Of one part. ConfigError for data that are missing, damaged or do not fit the model or each
// other.
std::unique_ptr<data::SampleSource> make_samples(const TrainJob& job, const spec::ModelSpec& model,
                                                 std::int64_t seq_length, data::SplitPart part);

// What training reads: of the training part, with what is done to samples in training alone.
std::unique_ptr<data::SampleSource> make_training_samples(const TrainJob& job,
                                                          const spec::ModelSpec& model,
                                                          std::int64_t seq_length);

// JobSpec::attended_length of the job's training samples, as the first of them say it; 0 where
// documents are not kept apart. The same on every rank.
std::int64_t attended_length(const TrainJob& job, const data::SampleSource& samples);

// Puts token pairs in the place of texts that the job names as data: text_cache.h.
void tokenize_data(TrainJob& job, const spec::ModelSpec& model);

// All names of data, those of validation and test behind them; synthetic data have none.
std::vector<std::string> data_names(const TrainJob& job, const spec::ModelSpec& model);

// The name of the job's data, or the first of its names; empty where it cannot be told.
std::string first_data_name(const TrainJob& job);

// {".bin": {"bytes", "checksum"}, ...} of the files that the samples are made of, and of a blend's
// weights; empty for samples that need none.
OrderedJson data_prints(const TrainJob& job, const spec::ModelSpec& model);

// Of a blend, how much of each part the run reads: a line for each.
std::vector<std::string> blend_notes(const PreparedJob& prepared);

}  // namespace galvatron::train
