#include <algorithm>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/stop_signals.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/registry.h"
#include "galvatron/plan/checkpoint_share.h"
#include "galvatron/runtime/memory_meter.h"
#include "galvatron/train/agreement.h"
#include "galvatron/train/checkpoint.h"
#include "galvatron/train/device_flops.h"
#include "galvatron/train/gather.h"
#include "galvatron/train/job_samples.h"
#include "galvatron/train/matmul_peak.h"
#include "galvatron/train/metrics_server.h"
#include "galvatron/train/pinning.h"
#include "galvatron/train/run_folder.h"
#include "galvatron/train/save_lock.h"
#include "galvatron/train/step_files.h"
#include "galvatron/train/timeline.h"
#include "galvatron/train/train_job.h"
#include "galvatron/train/train_options.h"
#include "galvatron/train/versions.h"
#include "galvatron/train/weights.h"
#include "galvatron/train/weights_reading.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

TrainerOptions trainer_options(const PreparedJob& prepared, c10::Device device) {
  TrainerOptions options = prepared.job.trainer;
  options.peak_flops = device_peak_flops(device, prepared.plan.precision);
  options.wants_to_stop = [] { return comm::StopSignals::received() != 0; };
  return options;
}

void refuse_nondeterminism() {
  // Without a workspace of its own, cuBLAS splits its sums as timing has it.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
}

// A checkpoint by its name in the folder that each host sees, and what its index says.
std::string checkpoint_fact(const ResumePoint& resume) {
  if (resume.starts_anew()) return "none";
  try {
    return detail::concat(resume.checkpoint().filename().string(), " (",
                          index_print(resume.checkpoint()), ")");
  } catch (const ConfigError&) {
    return detail::concat("no ", resume.checkpoint().string());
  }
}

// What must not differ from rank to rank. Places may: each host can have its own.
OrderedJson facts_of(const PreparedJob& prepared, const ResumePoint& resume) {
  OrderedJson out = versions();
  const OrderedJson options = options_to_json(prepared);
  for (const auto& [name, value] : options.items()) {
    if (!is_place(name)) out["option " + name] = value;
  }
  const TrainJob& job = prepared.job;
  out["option eval_interval"] = job.trainer.eval_interval;
  out["option test"] = job.tests();
  out["option eval_batches"] = job.trainer.eval_batches;
  out["option trace_steps"] = job.trainer.trace_steps.text();
  out["option max_bad_steps"] = job.trainer.max_bad_steps;
  out["option save_interval"] = job.save_interval;
  out["option save"] = job.save_dir.empty() ? "not given" : "given";
  out["option export"] = job.export_dir.empty() ? "not given" : "given";
  out["option load_weights_only"] = job.load_weights_only;
  out["a model"] = checksum_text(checksum(prepared.model.config.dump()));
  out["a plan"] = checksum_text(checksum(plan::plan_to_json(prepared.plan).dump()));
  for (const auto& [name, print] : prepared.data_prints.items())
    out["data " + name] = fmt::format("of {} bytes ({})", print["bytes"].dump(),
                                      print["checksum"].get<std::string>());
  out["checkpoint"] = checkpoint_fact(resume);
  return out;
}

// Rank 0 decides which checkpoint counts; the others look for it where they were told to look.
void follow_rank0(comm::World& world, ResumePoint& resume) {
  const std::string name =
      broadcast_text(world, resume.starts_anew() ? "" : resume.checkpoint().filename().string());
  if (name.empty()) resume.candidates.clear();
  if (resume.starts_anew()) return;
  const fs::path folder = resume.checkpoint().parent_path();
  while (resume.candidates.size() > 1 && resume.checkpoint().filename() != name)
    resume.candidates.erase(resume.candidates.begin());
  if (resume.checkpoint().filename() != name) resume.candidates = {folder / name};
}

// One run of a prepared job on this rank.
class Run {
 public:
  Run(const PreparedJob& prepared, comm::World& world, const RunListener& listener)
      : prepared_(prepared),
        job_(prepared.job),
        world_(world),
        listener_(listener),
        resume_(prepared.resume) {}

  RunSummary go() {
    return with_flight([&] { return go_to_the_end(); });
  }
  EvaluationSummary evaluate(std::int64_t num_batches) {
    return with_flight([&] { return evaluate_all(num_batches); });
  }

 private:
  template <typename Body>
  auto with_flight(const Body& body) -> decltype(body()) {
    try {
      return body();
    } catch (const std::exception& error) {
      world_.flight().write_file(error.what());
      throw;
    }
  }

  bool begins_with_weights() const { return !job_.init_from.empty() && resume_.starts_anew(); }

  runtime::Engine make_engine() {
    agree();
    note(pin_rank(job_.pin, world_));
    note(float8_note());
    const bool from_weights = begins_with_weights();
    if (from_weights) {
      note(new_head_note(prepared_.new_head, job_.init_from));
      note(left_out_note(prepared_.model, job_.init_from));
    }
    const bool random = resume_.starts_anew() && (!from_weights || !prepared_.new_head.empty());
    return runtime::Engine(
        prepared_.model, prepared_.plan, world_, models::make_layer,
        {job_.seed, prepared_.seq_length, random, job_.label_smoothing,
         job_.fp8 ? nn::LinearPrecision::kFloat8 : nn::LinearPrecision::kCompute});
  }

  std::string float8_note() const {
    const c10::Device device = world_.device();
    const int index = device.has_index() ? device.index() : 0;
    if (!job_.fp8 || (device.is_cuda() && comm::multiplies_float8(index))) return "";
    return fmt::format(
        "--fp8: {} has no float8 products; numbers are rounded to float8 and "
        "multiplied in bf16, which is slower than bf16 alone",
        device_text(device));
  }

  void read_first_weights(runtime::Engine& engine) {
    if (!begins_with_weights()) return;
    const auto scope = files("reading the first weights");
    load_weights(engine, job_.init_from);
  }

  EvaluationSummary evaluate_all(std::int64_t num_batches) {
    runtime::MemoryMeter meter(world_.device());
    meter.reset_peak();
    runtime::Engine engine = make_engine();
    read_first_weights(engine);
    if (!resume_.starts_anew()) {
      Trainer trainer(engine, *prepared_.valid, prepared_.valid.get(), without_states());
      load(engine, trainer, "evaluating the weights of ");
    }
    EvaluationSummary out = train::evaluate(engine, *prepared_.valid, num_batches);
    out.device = device_text(world_.device());
    out.peak_memory = gather_peak_memory(world_, meter.peak());
    return out;
  }

  // Of a trainer that only reads weights.
  TrainerOptions without_states() const {
    TrainerOptions options = trainer_options(prepared_, world_.device());
    options.optimizer = {};
    options.optimizer.choose("sgd");
    return options;
  }

  RunSummary go_to_the_end() {
    runtime::Engine engine = make_engine();
    read_first_weights(engine);
    Trainer trainer(engine, *prepared_.samples, prepared_.valid.get(),
                    trainer_options(prepared_, world_.device()), prepared_.test.get());
    load(engine, trainer, "a new run with the weights of ");
    for (const std::string& line : blend_notes(prepared_)) note(line);
    start_files(engine, trainer);
    read_pace();
    trainer.run([&](const StepRecord& record) { after_step(record, engine, trainer); });
    read_pace();
    RunSummary summary = end(engine, trainer);
    return summary;
  }

  // Rank 0 alone, while the others wait.
  void read_pace() {
    const auto reference = plan::read_prediction(prepared_.plan).reference;
    if (!reference || !listener_.reference_ms) return;
    const auto scope = files("reading the machine's pace");
    const std::string ms =
        broadcast_text(world_, is_first() ? fmt::format("{:.17g}", listener_.reference_ms()) : "");
    slowdowns_.push_back(std::stod(ms) / reference->value);
  }

  comm::FlightRecorder::Scope files(const char* what) const {
    return comm::FlightRecorder::files(world_.flight(), what);
  }

  bool is_first() const { return world_.rank() == 0; }
  void note(const std::string& line) const {
    if (is_first() && listener_.on_note && !line.empty()) listener_.on_note(line);
  }

  void agree() {
    follow_rank0(world_, resume_);
    require_agreement(world_, facts_of(prepared_, resume_));
    all_or_none(world_, [&] {
      if (is_first() && !job_.save_dir.empty()) lock_.emplace(job_.save_dir, kSaveLockPatience);
    });
    for (const std::string& line : resume_.notes) note(line);
  }

  // `what_for` begins the note on weights alone.
  void load(runtime::Engine& engine, Trainer& trainer, const std::string& what_for) {
    const auto scope = files("reading the checkpoint");
    const double started = now_seconds();
    while (!resume_.starts_anew()) {
      try {
        load_checkpoint(resume_.checkpoint(), engine, trainer, job_.load_weights_only);
        break;
      } catch (const DamagedCheckpoint& damage) {
        resume_.give_up_first(damage);
        note(resume_.notes.back());
      }
    }
    if (resume_.starts_anew()) return;
    const std::string place = resume_.checkpoint().string();
    if (job_.load_weights_only) return note(what_for + place);
    note(fmt::format("going on from {}: step {} of {}, seed {}, read in {:.1f} s", place,
                     trainer.steps_done(), job_.trainer.num_steps, job_.seed,
                     now_seconds() - started));
    note(changed_options(resume_, options_to_json(prepared_)));
  }

  std::string run_id() {
    const bool goes_on = !resume_.starts_anew() && !job_.load_weights_only;
    if (goes_on && !resume_.index.run.empty()) return resume_.index.run;
    return broadcast_text(world_, is_first() ? new_run_id() : "");
  }

  // What each rank did last is kept beside the run's other files when it ends badly.
  void keep_flight(const std::string& run) {
    if (job_.run_dir.empty()) return;
    const std::string name = fmt::format("flight-{}.json", world_.rank());
    world_.flight().set_file(fs::path(job_.run_dir) / name, {{"format", "galvatron-flight"},
                                                             {"version", 1},
                                                             {"run", run},
                                                             {"rank", world_.rank()},
                                                             {"world_size", world_.size()},
                                                             {"host", comm::host_name()}});
  }

  void start_files(runtime::Engine& engine, Trainer& trainer) {
    const auto scope = files("starting the run's files");
    CheckpointFacts facts{
        run_id(),
        prepared_.seq_length,
        options_to_json(prepared_),
        prepared_.data_prints,
        job_.keep,
        [this](std::int64_t consumed) { return prepared_.samples->state(consumed); }};
    all_or_none(world_, [&] {
      if (!is_first()) return;
      open_metrics_server(facts.run);
      write_run_start(prepared_, facts.run);
      step_files_.emplace(job_, trainer.steps_done(),
                          [this](const std::string& line) { note(line); });
    });
    if (is_first() && listener_.on_start) listener_.on_start(run_start(prepared_, facts.run));
    keep_flight(facts.run);
    if (job_.save_dir.empty()) return;
    writer_.emplace(job_.save_dir, engine, trainer, std::move(facts), job_.async_save);
  }

  void open_metrics_server(const std::string& run) {
    if (!job_.metrics_port) return;
    metrics_server_.emplace(
        *job_.metrics_port,
        RunFacts{run, prepared_.model.name, spec::to_text(prepared_.plan.precision),
                 device_text(world_.device()), world_.size(), job_.trainer.num_steps});
    note("figures for Prometheus are at " + metrics_server_->address());
  }

  bool saves_after(std::int64_t step, bool last) const {
    if (last || retry_step_ > 0) return last || step >= retry_step_;
    return job_.save_interval > 0 && step % job_.save_interval == 0;
  }

  // There is a newer checkpoint than at the last look.
  void note_saved() {
    if (writer_->newest() == newest_) return;
    newest_ = writer_->newest();
    retry_step_ = retry_after_ = 0;
  }

  void after_step(const StepRecord& record, runtime::Engine& engine, const Trainer& trainer) {
    const auto scope = files("telling of the step");  // to whoever listens
    records_.push_back(record);
    if (step_files_) step_files_->write(record);
    if (metrics_server_) metrics_server_->tell(record);
    if (record.step == trainer.last_traced()) write_trace(engine);
    if (writer_) save(record.step, record.step == job_.trainer.num_steps || trainer.stopped());
    if (listener_.on_step) listener_.on_step(record);
    if (is_first() && listener_.on_first_rank) listener_.on_first_rank(record);
  }

  // Of the steps that are traced, once the last of them is done. Collective.
  void write_trace(runtime::Engine& engine) {
    const OrderedJson timeline = gather_timeline(world_, engine.trace(), prepared_.plan);
    if (step_files_ && !engine.trace().events().empty()) step_files_->write_trace(timeline);
    traced_ = plan::traced_step(timeline, prepared_.plan,
                                plan::read_prediction(prepared_.plan).slowest_rank);
    engine.trace().clear();
    trace_is_written_ = true;
  }

  void save(std::int64_t step, bool last) {
    const auto scope = files("saving a checkpoint");
    try {
      writer_->look_after();
      note_saved();
      if (!saves_after(step, last)) return;
      if (retry_step_ > 0) retry_step_ = kUnderWay;
      writer_->save();
      if (last) writer_->finish();
      note_saved();
    } catch (const CheckpointNotWritten& failure) {
      if (last) {
        last_failure_ = failure.what();  // of which the results are told first
        return;
      }
      // Again soon, then less and less often: writing half a checkpoint takes time too.
      retry_after_ = std::max<std::int64_t>(1, 2 * retry_after_);
      retry_step_ = step + retry_after_;
      note(fmt::format("{}; training goes on, and the next try is after step {}", failure.what(),
                       retry_step_));
    }
  }

  // What asynchronous saves keep beside the plan's own memory: on a CPU, in the same one.
  void add_copies(RunSummary& summary) const {
    const std::vector<Bytes> shares =
        plan::checkpoint_shares(prepared_.model, prepared_.plan, job_.trainer.optimizer.spec());
    summary.saves.copy = *std::max_element(shares.begin(), shares.end());
    if (!world_.device().is_cpu()) return;
    for (std::size_t p = 0; p < summary.prediction.rank_memory.size(); ++p)
      summary.prediction.rank_memory[p] += shares[p];
  }

  plan::MeasuredMemory memory_of(runtime::Engine& engine, Trainer& trainer) const {
    plan::MeasuredMemory out;
    for (const runtime::ParamUnit* unit : engine.units()) {
      const runtime::UnitBytes held = unit->held_bytes();
      out.parameters += held.parameters;
      out.master += held.master;
      out.gradients += held.gradients;
    }
    out.optimizer = trainer.optimizer().state_bytes();
    out.rest = std::max(Bytes{}, trainer.peak_memory() - out.states());
    return out;
  }

  RunSummary end(runtime::Engine& engine, Trainer& trainer) {
    const auto scope = files("writing the results");
    if (!trace_is_written_) write_trace(engine);  // stopped before
    RunSummary summary = summarize(prepared_.plan, device_text(world_.device()), records_,
                                   gather_peak_memory(world_, trainer.peak_memory()));
    summary.memory_by_kind = gather_memory(world_, memory_of(engine, trainer));
    summary.layer_names = prepared_.model.layer_names();
    summary.traced = traced_;
    summary.peak = peak_speed();
    summary.why_unpredicted = prepared_.why_unpredicted;
    if (!slowdowns_.empty())
      summary.slowdown = std::accumulate(slowdowns_.begin(), slowdowns_.end(), 0.0) /
                         static_cast<double>(slowdowns_.size());
    summary.stopped = trainer.stopped();
    if (writer_) {
      summary.checkpoint = writer_->newest().string();
      summary.saves = writer_->figures();
    }
    if (writer_ && job_.async_save) add_copies(summary);
    if (!job_.export_dir.empty() && !summary.stopped)
      export_weights(engine, job_.export_dir, export_options(job_, prepared_.model));
    summary.failure = last_failure_;
    if (is_first()) write_end_files(summary);
    return summary;
  }

  // A run that is over in seconds does not measure the processor.
  std::optional<PeakSpeed> peak_speed() const {
    constexpr double kLongEnough = 10;  // seconds
    double seconds = 0;
    for (const StepRecord& record : records_) seconds += record.seconds;
    PeakSpeed out{device_peak_flops(world_.device(), prepared_.plan.precision)};
    if (world_.device().is_cpu() && seconds > kLongEnough) {
      out.flops_per_second = measured_matmul_flops(prepared_.plan.precision);
      out.is_measured = true;
    }
    if (out.flops_per_second == 0) return std::nullopt;
    out.flops_of_step = step_flops(prepared_.model, prepared_.plan, prepared_.seq_length);
    return out;
  }

  // Also on a full disk all else is told, and written where it can be.
  void write_end_files(RunSummary& summary) {
    try {
      if (step_files_) step_files_->finish();
      write_run_end(prepared_, summary);
    } catch (const std::exception& failure) {
      if (summary.failure.empty()) summary.failure = failure.what();
    }
  }

  const PreparedJob& prepared_;
  const TrainJob& job_;
  comm::World& world_;
  const RunListener& listener_;
  ResumePoint resume_;
  std::optional<SaveLock> lock_;  // of rank 0
  std::optional<CheckpointWriter> writer_;
  std::optional<StepFiles> step_files_;          // of rank 0
  std::optional<MetricsServer> metrics_server_;  // of rank 0
  bool trace_is_written_ = false;
  std::optional<plan::TracedStep> traced_;
  std::vector<StepRecord> records_;
  std::vector<double> slowdowns_;  // before the first step and after the last one
  std::string last_failure_;       // the last checkpoint could not be written
  // Where one could not be written: when to try again, and how many steps that was put off.
  static constexpr std::int64_t kUnderWay = std::numeric_limits<std::int64_t>::max();
  std::int64_t retry_step_ = 0, retry_after_ = 0;
  fs::path newest_;  // checkpoint
};

}  // namespace

RunSummary run(const PreparedJob& prepared, comm::World& world, const RunListener& listener) {
  if (prepared.job.deterministic) refuse_nondeterminism();
  return Run(prepared, world, listener).go();
}

EvaluationSummary evaluate(const PreparedJob& prepared, comm::World& world,
                           std::int64_t num_batches, const RunListener& listener) {
  if (prepared.job.deterministic) refuse_nondeterminism();
  return Run(prepared, world, listener).evaluate(num_batches);
}

}  // namespace galvatron::train
