#include "galvatron/train/train_job.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/plan/checkpoint_share.h"
#include "galvatron/plan/recorded_prediction.h"
#include "galvatron/plan/recorded_question.h"
#include "galvatron/train/data_fit.h"
#include "galvatron/train/durable_file.h"
#include "galvatron/train/job_samples.h"
#include "galvatron/train/pinning.h"
#include "galvatron/train/run_folder.h"
#include "galvatron/train/save_lock.h"
#include "galvatron/train/text_samples.h"
#include "galvatron/train/train_options.h"
#include "galvatron/train/weights.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kDefaultSeqLength = 1024;

spec::Precision default_precision(const TrainJob& job) {
  if (job.fp8) return spec::Precision::kBf16;
  const std::string& device = job.device;
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
  spec::JobSpec spec = job_spec(out);
  spec.global_batch = job.global_batch.value_or(out.plan.global_batch);
  spec.precision = job.precision.value_or(out.plan.precision);
  spec.communication = job.communication.applied_to(out.plan.communication);
  if (read_prediction(out.plan).step_time) {
    out.why_unpredicted = plan::unlike_recorded(out.plan, spec).value_or("");
    if (out.why_unpredicted.empty() && spec.communication != out.plan.communication)
      out.why_unpredicted = "the plan's is of another way to reduce gradients or gather parameters";
  }
  out.plan.global_batch = spec.global_batch;
  out.plan.precision = spec.precision;
  out.plan.communication = spec.communication;
  if (!out.why_unpredicted.empty()) out.plan.search = {};  // it foretold another run
}

// Of the validation samples.
void refuse_endless_evaluation(const TrainJob& job) {
  const TrainerOptions& trainer = job.trainer;
  const std::string& data = job.valid_data.empty() ? job.data : job.valid_data;
  if (data != kSyntheticData || trainer.eval_interval == 0 || trainer.eval_batches > 0) return;
  throw ConfigError(
      "[train] synthetic data have no end; say how many --eval-batches an evaluation has");
}

void check_test(const TrainJob& job) {
  if (!job.tests() || job.make_samples) return;
  const std::string& data = job.test_data.empty() ? job.data : job.test_data;
  if (data == kSyntheticData) {
    throw ConfigError("[train] synthetic data have no end; a test takes all samples: name files ",
                      "as --test-data, or leave --test away");
  }
  if (job.test_data.empty() && !job.valid_data.empty()) {
    throw ConfigError("[train] --test has no data: with --valid-data all of --data is for ",
                      "training; name --test-data");
  }
}

// A disk that cannot take a single checkpoint is known before the first step.
void check_room(const PreparedJob& prepared) {
  const TrainJob& job = prepared.job;
  const plan::Plan& plan = prepared.plan;
  const Bytes weights{prepared.model.num_params() * static_cast<std::int64_t>(sizeof(float))};
  Bytes checkpoint;
  for (const Bytes share :
       plan::checkpoint_shares(prepared.model, plan, job.trainer.optimizer.spec()))
    checkpoint += share * plan.ranks_per_stage();
  if (!job.save_dir.empty()) require_room(job.save_dir, checkpoint, "a checkpoint", "--save");
  if (!job.export_dir.empty())
    require_room(parent_of(job.export_dir), weights, "the export", "--export");
}

// Samples from Python are gone once their batch is, and an image is mixed with its neighbour.
void refuse_odd_batch(const TrainJob& job, std::int64_t global_batch) {
  if (!job.make_samples || !job.mix.any()) return;
  std::vector<std::int64_t> sizes{global_batch};
  const std::vector<int>& rampup = job.trainer.batch_rampup;
  if (rampup.size() > 1) sizes.insert(sizes.end(), rampup.begin(), rampup.begin() + 2);
  for (const std::int64_t size : sizes) {
    if (size % 2 == 0) continue;
    throw ConfigError("[train] mixup and cutmix mix images in pairs, so that batches of data from ",
                      "Python must be even, not ", size, "; change the global batch (or the ",
                      "numbers of its ramp-up)");
  }
}

void refuse_float8(const TrainJob& job, const plan::Plan& plan) {
  if (!job.fp8 || plan.precision == spec::Precision::kBf16) return;
  throw ConfigError("[train] --fp8 is for bf16, not ", spec::to_text(plan.precision),
                    "; give --precision bf16, or leave --fp8 away");
}

void refuse_other_length(const TrainJob& job, const spec::ModelSpec& model) {
  const std::int64_t fixed = model.fixed_seq_length;
  if (fixed == 0 || job.seq_length == 0 || job.seq_length == fixed) return;
  throw ConfigError("[train] --seq-length ", job.seq_length, ", but an image is ", fixed,
                    " tokens in model '", model.name, "'; leave --seq-length away");
}

// Classes of weights that are evaluated are not the user's to choose.
void refuse_other_classes(const TrainJob& asked) {
  if (!asked.model.empty() || (asked.init_from.empty() && !asked.stored_model)) return;
  TrainJob job = asked;
  if (job.fits_classes) fit_to_data(job);
  if (!job.num_classes) return;
  const std::int64_t wish = *job.num_classes;
  job.num_classes.reset();
  const spec::ModelSpec model = load_job_model(job);
  if (model.task != spec::Task::kImageClasses || model.image.num_classes == wish) return;
  throw ConfigError("[evaluate] --num-classes ", asked.fits_classes ? "auto: the data have " : "",
                    wish, ", but the weights in ", job.stored_model ? job.resume : job.init_from,
                    " tell ", model.image.num_classes, " classes apart, and a head of another ",
                    "number would be random; leave --num-classes away");
}

}  // namespace

ExportOptions export_options(const TrainJob& job, const spec::ModelSpec& model) {
  ExportOptions options;
  options.tokenizer = find_tokenizer(job);
  describe_images(job, model, options);
  return options;
}

PreparedJob prepare_inputs(const TrainJob& asked) {
  asked.trainer.optimizer.check();
  require_pinning(asked.pin);
  PreparedJob out;
  out.job = asked;
  out.resume = find_resume_point(asked);
  take_options(out.resume, out.job);
  fit_to_data(out.job);
  const TrainJob& job = out.job;
  out.model = load_job_model(job);
  if (!job.init_from.empty()) out.new_head = check_weights(out.model, job.init_from);
  refuse_other_length(job, out.model);
  out.seq_length = out.model.choose_seq_length(job.seq_length, kDefaultSeqLength);
  LrSchedule(job.trainer.lr, job.trainer.num_steps);
  decay_schedule(job.trainer);
  ParamGroups(job.trainer.param_groups, out.model);
  tokenize_data(out.job, out.model);
  out.samples = make_training_samples(job, out.model, out.seq_length);
  out.attended_length = attended_length(job, *out.samples);
  refuse_endless_evaluation(job);
  check_test(job);
  if (!out.resume.starts_anew() && !job.load_weights_only)
    out.samples->go_on_from(out.resume.index.samples_consumed, out.resume.index.samples_state);
  if (job.trainer.eval_interval > 0)
    out.valid = make_samples(job, out.model, out.seq_length, job.evaluated);
  if (job.tests()) out.test = make_samples(job, out.model, out.seq_length, data::SplitPart::kTest);
  out.data_prints = data_prints(job, out.model);
  return out;
}

PreparedJob prepare(const TrainJob& asked, int world_size) {
  PreparedJob out = prepare_inputs(asked);
  const TrainJob& job = out.job;
  if (job.plan.empty()) {
    out.plan = uniform_plan(job, out.model, out.seq_length, world_size);
  } else {
    take_plan_file(out);
  }
  refuse_float8(job, out.plan);
  plan::require_valid_plan(out.plan, out.model, {world_size, out.seq_length});
  BatchRamp(job.trainer.batch_rampup, out.plan.global_batch, out.plan.num_microbatches);
  refuse_odd_batch(job, out.plan.global_batch);
  check_resume(out.resume, out);
  check_outputs(out);
  check_room(out);
  return out;
}

PreparedJob prepare_evaluation(const TrainJob& asked, int world_size) {
  refuse_other_classes(asked);
  PreparedJob out = prepare(asked, world_size);
  if (!out.new_head.empty()) {
    throw ConfigError("[evaluate] ", new_head_note(out.new_head, asked.init_from),
                      ", whose score says nothing; train from these weights first, and evaluate "
                      "what that leaves");
  }
  return out;
}

void check_outputs(const PreparedJob& prepared) {
  const TrainJob& job = prepared.job;
  const auto try_folder = [](const std::string& wish, const fs::path& folder, const char* option) {
    if (!wish.empty()) require_writable_folder(folder, option);
  };
  refuse_idle_trace_steps(job);
  if (fs::is_directory(job.save_dir)) SaveLock(job.save_dir, kSaveLockPatience);
  refuse_used_places(job, prepared.resume);
  try_folder(job.run_dir, job.run_dir, "--run-dir");
  try_folder(job.metrics, fs::path(job.metrics).parent_path(), "--metrics");
  try_folder(job.csv, fs::path(job.csv).parent_path(), "--csv");
  try_folder(job.trace, fs::path(job.trace).parent_path(), "--trace");
  try_folder(job.save_dir, job.save_dir, "--save");
  if (job.export_dir.empty()) return;
  check_export(job.export_dir, export_options(job, prepared.model));
  require_writable_folder(parent_of(job.export_dir), "--export");
  try_export(job.export_dir);
}

spec::JobSpec job_spec(const TrainJob& job, std::int64_t seq_length) {
  spec::JobSpec out;
  out.seq_length = seq_length;
  out.global_batch = job.global_batch.value_or(out.global_batch);
  out.precision = job.precision ? *job.precision : default_precision(job);
  out.optimizer = &job.trainer.optimizer.spec();
  out.communication = job.communication.applied_to({});
  return out;
}

spec::JobSpec job_spec(const PreparedJob& inputs) {
  spec::JobSpec out = job_spec(inputs.job, inputs.seq_length);
  out.attended_length = inputs.attended_length;
  return out;
}

OrderedJson options_to_json(const PreparedJob& prepared) {
  TrainJob job = prepared.job;
  job.seq_length = prepared.seq_length;
  OrderedJson out = train_options(job).record(
      {kModelOptions, spec::kOverrideOptions, kImageOptions, kOptimizerOptions});
  out["deterministic"] = job.deterministic;
  out["precision"] = spec::to_text(prepared.plan.precision);
  out["fp8"] = job.fp8;
  out["global_batch"] = prepared.plan.global_batch;
  return out;
}

}  // namespace galvatron::train
