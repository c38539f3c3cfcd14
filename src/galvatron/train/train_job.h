// A training run from its options to its files: checked as a whole before any rank is started, then
// run by every rank.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <c10/core/Device.h>

#include "galvatron/comm/pinning.h"
#include "galvatron/comm/world.h"
#include "galvatron/data/document_mode.h"
#include "galvatron/data/image_samples.h"
#include "galvatron/data/mixed_images.h"
#include "galvatron/data/sample_source.h"
#include "galvatron/data/split.h"
#include "galvatron/plan/plan.h"
#include "galvatron/train/checkpoint_folder.h"
#include "galvatron/train/evaluation.h"
#include "galvatron/train/resume.h"
#include "galvatron/train/run_summary.h"
#include "galvatron/train/trainer.h"
#include "galvatron/train/weights.h"

namespace galvatron::train {

// One strategy for all layers, for runs without a plan.
struct UniformPlanOptions {
  plan::LayerStrategy strategy;
  int pp_degree = 1;
  int num_microbatches = 1;
  plan::ScheduleKind schedule = plan::ScheduleKind::k1F1B;
  int stages_per_rank = 0;            // 0: what the schedule usually has
  std::vector<int> layers_per_stage;  // empty: even
};

inline constexpr const char* kSyntheticData = "synthetic";

// Makes the samples of one part of the data.
using SampleMaker = std::function<std::unique_ptr<data::SampleSource>(
    const spec::ModelSpec& model, std::int64_t seq_length, data::SplitPart part)>;

struct TrainJob {
  // Preset name, config.json or folder; empty: init_from's config.
  std::string model;
  spec::ModelOverrides overrides;  // numbers of it that are not the config's
  // Its vocabulary becomes the data's (fit_to_data), made up to a multiple of `vocab_multiple`.
  bool fits_vocabulary = false;
  std::int64_t vocab_multiple = 1;
  // Of image models in the place of the config's, or as many as the data have.
  std::optional<std::int64_t> num_classes;
  bool fits_classes = false;
  // A Hugging Face checkpoint folder whose weights are the first ones; empty: random ones.
  std::string init_from;
  // Which of the two says what the model is.
  const std::string& model_source() const { return model.empty() ? init_from : model; }
  // What `resume` says that it is of, where neither is given (be_evaluated).
  std::optional<spec::ModelSpec> stored_model;
  // A plan file; empty: `uniform`.
  std::string plan;
  // What `plan` says, where somebody has read it already.
  std::optional<plan::Plan> given_plan;
  UniformPlanOptions uniform;
  // Tokens per sample. 0: the longest that the model allows, at most 1024.
  std::int64_t seq_length = 0;
  // These win over the plan's, whose prediction is then dropped.
  std::optional<std::int64_t> global_batch;  // else the plan's, or 8
  spec::CommunicationWish communication;
  std::optional<spec::Precision> precision;  // else the plan's, or what is fast on `device`
  bool fp8 = false;  // beside bf16: blocks' linear layers round their operands to float8

  // PREFIX of a token file pair, or of a pair of image arrays for image models, "synthetic", text
  // (text_cache.h), or a blend of them: data/data_list.h.
  std::string data = kSyntheticData;
  // The same for evaluations, and then all of `data` is for training; empty: the part of `data`
  // that `split` says.
  std::string valid_data;
  // The same for the test after the last step; empty: the third part of `data`.
  std::string test_data;
  bool test = false;  // also where it is
  bool tests() const { return test || !test_data.empty(); }
  std::string text_field = "text";     // of JSON lines and Parquet files that are `data`
  std::string data_cache;              // where text becomes tokens; empty: default_data_cache()
  std::vector<std::string> data_tool;  // galvatron-data as a command; empty: it is looked for
  // Makes them instead, where it is set; `data` is then a name for the record.
  SampleMaker make_samples;
  std::string split = "969,30,1";
  bool shuffle = true;
  data::DocumentMode documents = data::DocumentMode::kJoined;  // of text
  data::SplitPart evaluated = data::SplitPart::kValid;         // the part that evaluations take
  // For models that learn masked tokens: its text or its id; empty: [MASK] or <mask> of the
  // tokenizer.
  std::string mask_token;
  data::ImageTransform images;  // of image models
  data::ImageMix mix;           // of their training samples
  // Share of every target that all classes, or all tokens of the vocabulary, divide in training.
  double label_smoothing = 0;
  bool whole_words = false;  // hide whole words, not single tokens
  // Of initial weights, dropout and the order of the data.
  std::uint64_t seed = 1234;
  // Of the ranks: "cpu", "cuda", or "auto" for cuda where there is one.
  std::string device = "auto";
  comm::PinMode pin = comm::PinMode::kAuto;  // cores of each rank
  // Refuse CUDA kernels whose result depends on timing. CPU runs never do.
  bool deterministic = false;
  comm::Limits limits;  // of the ranks' patience with each other

  TrainerOptions trainer;

  // Where metrics.jsonl, plan.json, summary.json and trace.json go; empty: nowhere.
  std::string run_dir;
  std::string metrics;              // instead of run_dir/metrics.jsonl
  std::string csv;                  // the same as rows of a table; empty: none
  std::optional<int> metrics_port;  // of a page for Prometheus on rank 0; 0: a free one
  std::string trace;                // instead of run_dir/trace.json
  std::string save_dir;             // folder of checkpoints; empty: none
  std::int64_t save_interval = 0;   // steps between them; 0: only after the last step
  bool async_save = false;          // training goes on while they are written
  KeepOptions keep;                 // which of them stay
  // A checkpoint, or a folder of them, to go on from; "auto": save_dir, or anew where there is none
  // yet; empty: start anew.
  std::string resume;
  bool load_weights_only = false;  // of `resume`: a new run that begins with its weights
  std::string export_dir;          // a Hugging Face folder of the final weights; empty: none
  // Options that the user gave, by their names in Python. Of the others, those that fix the order
  // of the data are taken from the checkpoint that the run goes on from.
  std::vector<std::string> given;
  // A tokenizer.json or a folder of tokenizer files that goes into the export; empty: the data's,
  // or init_from's, where there is one.
  std::string tokenizer;
};

// A job that can be run: its model, plan and data are there and fit together.
struct PreparedJob {
  TrainJob job;
  spec::ModelSpec model;
  std::vector<std::string> new_head;  // what init_from's weights lack: see check_weights()
  plan::Plan plan;
  // Why the plan file's prediction is not of this run and was left out; empty: it is, or there is
  // none.
  std::string why_unpredicted;
  std::int64_t seq_length = 0;
  std::int64_t attended_length = 0;  // JobSpec's, of `samples`
  std::unique_ptr<data::SampleSource> samples;
  std::unique_ptr<data::SampleSource> valid;  // only where the job evaluates
  std::unique_ptr<data::SampleSource> test;   // only where it tests
  OrderedJson data_prints;                    // job_samples.h
  ResumePoint resume;
};

// Model, sequence length and data, but no plan. ConfigError in one sentence for whatever is wrong;
// needs no other rank and no device.
PreparedJob prepare_inputs(const TrainJob& job);
// And the plan, checked against model, sequence length and world size, and the outputs.
PreparedJob prepare(const TrainJob& job, int world_size);
// The same of a job that evaluates (be_evaluated). ConfigError also where the weights lack a part
// of the model, which would be random.
PreparedJob prepare_evaluation(const TrainJob& job, int world_size);
// Makes the folders that the run writes to, and tries to write there. ConfigError where it cannot,
// or where another run has left something.
void check_outputs(const PreparedJob& prepared);

// Batch and precision where no plan says them.
spec::JobSpec job_spec(const TrainJob& job, std::int64_t seq_length);
// And with what the data say.
spec::JobSpec job_spec(const PreparedJob& inputs);

// How the final weights are exported.
ExportOptions export_options(const TrainJob& job, const spec::ModelSpec& model);

// Who hears of a run while it goes on.
struct RunListener {
  Trainer::OnStep on_step;        // on every rank
  Trainer::OnStep on_first_rank;  // the same, on rank 0
  // The content of run.json, on rank 0 before the first step.
  std::function<void(const OrderedJson&)> on_start;
  // One line for the user, on rank 0: what the run goes on from, a checkpoint that could not be
  // written.
  std::function<void(const std::string&)> on_note;
  // What the profiler's reference load takes on this rank alone, in ms: asked of rank 0 before the
  // first step and after the last one, so that a prediction is read at the pace of the day. Empty,
  // or given, on every rank.
  std::function<double()> reference_ms = {};
};

// Trains on this rank. Collective. Rank 0 writes the files, and every rank its part of a
// checkpoint; every rank returns the same summary. ConfigError, on every rank and before the first
// step, where the ranks were not given the same.
RunSummary run(const PreparedJob& prepared, comm::World& world, const RunListener& listener);

// Evaluates on this rank, with the weights that the job would begin with, and trains nothing:
// `num_batches` global batches of `prepared.valid`, or all its samples once where it is 0. Samples
// beyond the last do not count. Collective; every rank returns the same but for its seconds.
// REQUIRES: prepared.valid.
EvaluationSummary evaluate(const PreparedJob& prepared, comm::World& world,
                           std::int64_t num_batches, const RunListener& listener);

// The job's options as recorded in summary.json.
OrderedJson options_to_json(const PreparedJob& prepared);

}  // namespace galvatron::train
