#include "galvatron/train/train_job.h"

#include <algorithm>

#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/data/data_files.h"
#include "galvatron/data/image_samples.h"
#include "galvatron/models/registry.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/plan/recorded_question.h"
#include "galvatron/train/checkpoint.h"
#include "galvatron/train/device_flops.h"
#include "galvatron/train/prediction.h"
#include "galvatron/train/text_samples.h"
#include "galvatron/train/timeline.h"
#include "galvatron/train/train_options.h"
#include "galvatron/train/weights.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kDefaultSeqLength = 1024;

spec::ModelSpec load_model(const TrainJob& job) {
  if (job.model.empty() && job.init_from.empty())
    throw ConfigError("[train] give --model or --init-from");
  spec::ModelSpec model =
      spec::load_model(job.model.empty() ? job.init_from : job.model, job.overrides);
  if (!job.init_from.empty()) check_weights(model, job.init_from);
  return model;
}

spec::Precision fast_precision(const std::string& device) {
  return spec::fast_precision(device == "auto" ? comm::pick_device(device).str() : device);
}

plan::Plan uniform_plan(const TrainJob& job, const spec::ModelSpec& model, std::int64_t seq_length,
                        int world_size) {
  const UniformPlanOptions& uniform = job.uniform;
  const spec::JobSpec spec = job_spec(job, seq_length);
  plan::Plan plan =
      plan::uniform_plan(model, spec, world_size, uniform.strategy, uniform.pp_degree,
                         uniform.num_microbatches, uniform.schedule, uniform.stages_per_rank);
  if (!uniform.layers_per_stage.empty() && uniform.stages_per_rank > 0) {
    throw ConfigError("[train] --stages-per-rank ", uniform.stages_per_rank,
                      " and --layers-per-stage exclude each other: the second says how many stages "
                      "there are");
  }
  if (!uniform.layers_per_stage.empty()) plan.pipeline.layers_per_stage = uniform.layers_per_stage;
  return plan;
}

// Puts the plan of the file there, and what its prediction is of where that is another run.
void take_plan_file(PreparedJob& out) {
  const TrainJob& job = out.job;
  out.plan = job.given_plan ? *job.given_plan : plan::read_plan(job.plan);
  spec::JobSpec spec = job_spec(job, out.seq_length);
  spec.global_batch = job.global_batch.value_or(out.plan.global_batch);
  spec.precision = job.precision.value_or(out.plan.precision);
  if (read_prediction(out.plan).step_time) {
    out.why_unpredicted = plan::unlike_recorded(out.plan, spec).value_or("");
  }
  out.plan.global_batch = spec.global_batch;
  out.plan.precision = spec.precision;
  if (!out.why_unpredicted.empty()) out.plan.search = {};  // it foretold another run
}

std::unique_ptr<data::SampleSource> make_images(const TrainJob& job, const spec::ModelSpec& model,
                                                std::int64_t seq_length, data::SplitPart part) {
  if (job.data == kSyntheticData) {
    constexpr std::int64_t kSyntheticImages = 1 << 20;
    // The parts of synthetic data differ in their seed.
    const std::uint64_t seed = job.seed + static_cast<std::uint64_t>(part);
    return std::make_unique<data::SyntheticImages>(kSyntheticImages, model.image, seq_length, seed);
  }
  return std::make_unique<data::ImageSamples>(
      data::ImageSamplesOptions{job.data, job.split, part, job.shuffle, job.seed, job.images},
      model.image, seq_length);
}

std::unique_ptr<data::SampleSource> make_samples(const TrainJob& job, const spec::ModelSpec& model,
                                                 std::int64_t seq_length, data::SplitPart part) {
  if (job.make_samples) return job.make_samples(model, seq_length, part);
  data::parse_split(job.split);
  const bool images = model.task == spec::Task::kImageClasses;
  if (job.data != kSyntheticData) {
    data::require_data_files(job.data, images
                                           ? std::vector<std::string>{".images.npy", ".labels.npy"}
                                           : std::vector<std::string>{".bin", ".idx"});
  }
  return images ? make_images(job, model, seq_length, part)
                : make_text_samples(job, model, seq_length, part);
}

void refuse_other_length(const TrainJob& job, const spec::ModelSpec& model) {
  const std::int64_t fixed = model.fixed_seq_length;
  if (fixed == 0 || job.seq_length == 0 || job.seq_length == fixed) return;
  throw ConfigError("[train] --seq-length ", job.seq_length, ", but an image is ", fixed,
                    " tokens in model '", model.name, "'; leave --seq-length away");
}

// Makes the folder and asks whether files can be written there.
void require_writable(const fs::path& folder, const char* option) {
  const fs::path path = folder.empty() ? fs::path(".") : folder;
  std::error_code error;
  fs::create_directories(path, error);
  if (!fs::is_directory(path) || access(path.c_str(), W_OK) != 0) {
    throw ConfigError("[train] ", option, ": cannot write into ", path.string(),
                      error ? ": " + error.message() : std::string());
  }
}

ExportOptions export_options(const TrainJob& job) {
  ExportOptions options;
  options.tokenizer = find_tokenizer(job);
  return options;
}

// `name` in the run folder, unless another place was asked for; empty for nowhere.
fs::path output_path(const std::string& wish, const std::string& run_dir, const char* name) {
  if (!wish.empty()) return wish;
  return run_dir.empty() ? fs::path() : fs::path(run_dir) / name;
}

// All ranks train together; only rank 0 writes. Collects what the summary needs.
class Recorder {
 public:
  Recorder(const TrainJob& job, bool writes) {
    const fs::path path = output_path(job.metrics, job.run_dir, "metrics.jsonl");
    const bool goes_on = !job.resume.empty();
    if (writes && !path.empty()) file_.emplace(path, goes_on);
  }
  void add(const StepRecord& record) {
    records_.push_back(record);
    if (file_) file_->write(record);
  }
  const std::vector<StepRecord>& records() const { return records_; }

 private:
  std::optional<MetricsFile> file_;
  std::vector<StepRecord> records_;
};

TrainerOptions trainer_options(const PreparedJob& prepared, c10::Device device) {
  TrainerOptions options = prepared.job.trainer;
  options.peak_flops = device_peak_flops(device, prepared.plan.precision);
  return options;
}

bool saves_after(const TrainJob& job, std::int64_t step) {
  if (job.save_dir.empty()) return false;
  return step == job.trainer.num_steps || (job.save_interval > 0 && step % job.save_interval == 0);
}

void refuse_nondeterminism() {
  // Without a workspace of its own, cuBLAS splits its sums as timing has it.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
}

void write_results(const PreparedJob& prepared, const RunSummary& summary,
                   const OrderedJson& timeline) {
  const TrainJob& job = prepared.job;
  const fs::path trace = output_path(job.trace, job.run_dir, "trace.json");
  if (!trace.empty()) write_file_atomically(trace, timeline.dump() + "\n");
  if (job.run_dir.empty()) return;
  plan::write_plan(fs::path(job.run_dir) / "plan.json", prepared.plan);
  write_json_file(fs::path(job.run_dir) / "summary.json",
                  summary_to_json(summary, options_to_json(prepared)));
}

}  // namespace

PreparedJob prepare_inputs(const TrainJob& job) {
  job.trainer.optimizer.check();
  PreparedJob out;
  out.job = job;
  out.model = load_model(job);
  refuse_other_length(job, out.model);
  out.seq_length = out.model.choose_seq_length(job.seq_length, kDefaultSeqLength);
  LrSchedule(job.trainer.lr, job.trainer.num_steps);
  out.samples = make_samples(job, out.model, out.seq_length, data::SplitPart::kTrain);
  if (job.trainer.eval_interval > 0)
    out.valid = make_samples(job, out.model, out.seq_length, data::SplitPart::kValid);
  return out;
}

PreparedJob prepare(const TrainJob& job, int world_size) {
  PreparedJob out = prepare_inputs(job);
  if (job.plan.empty()) {
    out.plan = uniform_plan(job, out.model, out.seq_length, world_size);
  } else {
    take_plan_file(out);
  }
  plan::require_valid_plan(out.plan, out.model, {world_size, out.seq_length});
  if (!job.resume.empty()) {
    out.job.resume = find_checkpoint(job.resume);
    spec::JobSpec spec = job_spec(job, out.seq_length);
    spec.precision = out.plan.precision;
    check_checkpoint(out.job.resume, out.model, spec, job.trainer.num_steps);
  }
  check_outputs(job);
  return out;
}

void check_outputs(const TrainJob& job) {
  if (!job.run_dir.empty()) require_writable(job.run_dir, "--run-dir");
  if (!job.metrics.empty()) require_writable(fs::path(job.metrics).parent_path(), "--metrics");
  if (!job.trace.empty()) require_writable(fs::path(job.trace).parent_path(), "--trace");
  if (!job.save_dir.empty()) require_writable(job.save_dir, "--save");
  if (!job.export_dir.empty()) check_export(job.export_dir, export_options(job));
}

spec::JobSpec job_spec(const TrainJob& job, std::int64_t seq_length) {
  spec::JobSpec out;
  out.seq_length = seq_length;
  out.global_batch = job.global_batch.value_or(out.global_batch);
  out.precision = job.precision ? *job.precision : fast_precision(job.device);
  out.optimizer = &job.trainer.optimizer.spec();
  return out;
}

RunSummary run(const PreparedJob& prepared, comm::World& world, const Trainer::OnStep& on_step) {
  const TrainJob& job = prepared.job;
  if (job.deterministic) refuse_nondeterminism();
  const bool is_first = world.rank() == 0, initialise = job.init_from.empty() && job.resume.empty();
  runtime::Engine engine(prepared.model, prepared.plan, world, models::make_layer,
                         {job.seed, prepared.seq_length, initialise});
  if (!job.init_from.empty() && job.resume.empty()) load_weights(engine, job.init_from);
  Trainer trainer(engine, *prepared.samples, prepared.valid.get(),
                  trainer_options(prepared, world.device()));
  if (!job.resume.empty()) load_checkpoint(job.resume, engine, trainer);
  Recorder recorder(job, is_first);
  trainer.run([&](const StepRecord& record) {
    recorder.add(record);
    if (saves_after(job, record.step))
      save_checkpoint(job.save_dir, engine, trainer, prepared.seq_length);
    if (on_step) on_step(record);
  });

  const OrderedJson timeline = gather_timeline(world, engine.trace(), prepared.plan);
  RunSummary summary = summarize(prepared.plan, device_text(world.device()), recorder.records(),
                                 gather_peak_memory(world, trainer.peak_memory()));
  summary.layer_names = prepared.model.layer_names();
  summary.why_unpredicted = prepared.why_unpredicted;
  if (is_first) write_results(prepared, summary, timeline);
  if (!job.export_dir.empty()) export_weights(engine, job.export_dir, export_options(job));
  return summary;
}

OrderedJson options_to_json(const PreparedJob& prepared) {
  TrainJob job = prepared.job;
  job.seq_length = prepared.seq_length;
  OrderedJson out = train_options(job).record(
      {kModelOptions, spec::kOverrideOptions, kImageOptions, kOptimizerOptions});
  out["deterministic"] = job.deterministic;
  out["precision"] = spec::to_text(prepared.plan.precision);
  out["global_batch"] = prepared.plan.global_batch;
  return out;
}

}  // namespace galvatron::train
