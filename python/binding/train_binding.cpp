#include <atomic>
#include <limits>
#include <map>

#include <pybind11/stl.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/runtime/memory_meter.h"
#include "galvatron/train/gather.h"
#include "galvatron/train/train_job.h"

#include "bindings.h"
#include "python_samples.h"

namespace py = pybind11;

namespace galvatron::binding {
namespace {

template <typename T>
constexpr std::int64_t kMost =
    sizeof(T) < sizeof(std::int64_t) ? std::numeric_limits<std::int32_t>::max()
                                     : std::numeric_limits<std::int64_t>::max();
constexpr double kMaxNumber = 1e30;

// Options of train() by name: what is not given keeps the default that the command line has.
class Options {
 public:
  explicit Options(JsonReader& reader) : reader_(reader) {}

  void text(const char* key, std::string& value) { value = reader_.get_string_or(key, value); }
  void flag(const char* key, bool& value) { value = reader_.get_bool_or(key, value); }
  void number(const char* key, double& value) {
    value = reader_.get_number_or(key, value, 0, kMaxNumber);
  }
  template <typename T>
  void count(const char* key, T& value, std::int64_t min, std::int64_t max = kMost<T>) {
    value = static_cast<T>(reader_.get_int_or(key, static_cast<std::int64_t>(value), min, max));
  }
  // One number, or a list.
  void numbers(const char* key, std::vector<double>& values) {
    if (!reader_.has(key)) return reader_.ignore(key);
    const Json& given = reader_.get(key);
    const Json list = given.is_array() ? given : Json::array({given});
    values.clear();
    for (const Json& value : list) {
      const Json entry = {{key, value}};
      values.push_back(JsonReader(entry, "train").get_number(key, -kMaxNumber, kMaxNumber));
    }
  }
  std::string choice(const char* key, const std::string& standard,
                     const std::vector<std::string>& names) {
    return choice_or(reader_, key, standard, names);
  }

 private:
  JsonReader& reader_;
};

void read_uniform_plan(Options& options, train::UniformPlanOptions& uniform, JsonReader& reader) {
  uniform.strategy = plan::read_strategy(reader, plan::FieldsOf::kOptions);
  options.count("pp_degree", uniform.pp_degree, 1);
  options.count("num_microbatches", uniform.num_microbatches, 1);
  uniform.schedule =
      plan::parse_schedule(options.choice("schedule", "1f1b", plan::schedule_names()));
  options.count("stages_per_rank", uniform.stages_per_rank, 1);
  if (reader.has("layers_per_stage")) {
    for (const Json& layers : reader.get_array("layers_per_stage")) {
      const Json entry = {{"layers_per_stage", layers}};
      uniform.layers_per_stage.push_back(
          static_cast<int>(JsonReader(entry, "train").get_int("layers_per_stage", 1, kMost<int>)));
    }
  }
  reader.ignore("layers_per_stage");
}

spec::OptimizerChoice read_optimizer(Options& options, JsonReader& reader) {
  const std::string name =
      options.choice("optimizer", spec::default_optimizer().name, spec::optimizer_names());
  std::map<std::string, double> given;
  for (const spec::OptimizerOption& option : spec::optimizer_options()) {
    if (!reader.has(option.name)) {
      reader.ignore(option.name);
      continue;
    }
    given[option.name] = reader.get_number(option.name, option.min, option.max);
  }
  return {name, given};
}

void read_trainer(Options& options, train::TrainerOptions& trainer, JsonReader& reader) {
  options.count("steps", trainer.num_steps, 1);
  options.number("lr", trainer.lr.peak);
  options.number("min_lr", trainer.lr.min);
  trainer.lr.shape = train::parse_lr_shape(
      options.choice("lr_schedule", to_text(trainer.lr.shape), train::lr_shape_names()));
  options.count("warmup_steps", trainer.lr.warmup_steps, 0);
  options.count("decay_steps", trainer.lr.decay_steps, 0);
  trainer.optimizer = read_optimizer(options, reader);
  options.number("max_grad_norm", trainer.max_grad_norm);
  options.count("eval_interval", trainer.eval_interval, 0);
  options.count("eval_batches", trainer.eval_batches, 1);
}

void read_outputs(Options& options, train::TrainJob& job) {
  options.text("run_dir", job.run_dir);
  options.text("metrics", job.metrics);
  options.text("trace", job.trace);
  options.text("save", job.save_dir);
  options.count("save_interval", job.save_interval, 0);
  options.text("resume", job.resume);
  options.text("export", job.export_dir);
  options.text("tokenizer", job.tokenizer);
}

// A plan has a strategy for every layer, and the pipeline.
void refuse_beside_plan(const JsonReader& reader) {
  const auto refuse = [&](const char* key) {
    if (!reader.has(key)) return;
    throw ConfigError("[train] ", key,
                      " and plan exclude each other: the plan has a strategy for every layer");
  };
  plan::for_each_supported_field([&](const auto& field) { refuse(field.name); });
  for (const char* key :
       {"pp_degree", "layers_per_stage", "num_microbatches", "schedule", "stages_per_rank"}) {
    refuse(key);
  }
}

train::TrainJob read_job(const std::string& text, std::string& device) {
  const Json json = from_text(text, "train");
  JsonReader reader(json, "train", Nulls::kAbsent);
  Options options(reader);
  train::TrainJob job;
  options.text("model", job.model);
  options.text("init_from", job.init_from);
  options.text("plan", job.plan);
  if (!job.plan.empty()) refuse_beside_plan(reader);
  options.count("seq_length", job.seq_length, 1);
  std::int64_t global_batch = 0;
  options.count("global_batch", global_batch, 1);
  if (global_batch > 0) job.global_batch = global_batch;
  const std::string precision = options.choice("precision", "", spec::precision_names());
  if (!precision.empty()) job.precision = spec::parse_precision(precision);
  options.text("data", job.data);
  options.text("split", job.split);
  options.flag("shuffle", job.shuffle);
  options.text("mask_token", job.mask_token);
  options.flag("whole_words", job.whole_words);
  options.numbers("image_mean", job.images.mean);
  options.numbers("image_std", job.images.std);
  options.count("crop_padding", job.images.crop_padding, 0);
  options.flag("flip", job.images.flip);
  options.count("seed", job.seed, 0);
  options.flag("deterministic", job.deterministic);
  device = options.choice("device", "auto", {"auto", "cpu", "cuda"});
  read_uniform_plan(options, job.uniform, reader);
  read_trainer(options, job.trainer, reader);
  read_outputs(options, job);
  reader.finish();
  return job;
}

// Runs of one process follow one another in one store: each has a name of its own there.
comm::LaunchEnvironment next_environment() {
  constexpr int kMostRuns = 1'000'000;
  static std::atomic<int> runs = 0;
  comm::LaunchEnvironment environment = comm::read_launch_environment();
  environment.restart_count = environment.restart_count * kMostRuns + runs++;
  return environment;
}

// Every rank must iterate the same samples; a sampler that divides them, or an unseeded shuffle,
// would be silent.
void require_same_samples(const train::PreparedJob& prepared, comm::World& world) {
  const auto* samples = dynamic_cast<const PythonSamples*>(prepared.samples.get());
  if (!samples || world.size() == 1) return;
  const std::vector<std::string> prints = train::gather_texts(world, samples->fingerprint());
  for (std::size_t rank = 1; rank < prints.size(); ++rank) {
    if (prints[rank] == prints[0]) continue;
    throw ConfigError(
        "[data] rank ", rank,
        " gets other samples than rank 0: every rank must be given the same data "
        "in the same order, and takes its part of each batch by itself (no DistributedSampler, no "
        "shuffle with a seed of its own)");
  }
}

std::string train(const std::string& options, const std::optional<py::function>& make_samples,
                  const std::optional<py::function>& on_step) {
  std::string device;
  train::TrainJob job = read_job(options, device);
  if (make_samples) {
    const SharedObject maker = share(*make_samples);
    job.make_samples = [maker](const spec::ModelSpec&, std::int64_t seq_length,
                               data::SplitPart part) {
      const py::gil_scoped_acquire acquire;
      return std::make_unique<PythonSamples>(share((*maker)(data::to_text(part), seq_length)),
                                             seq_length);
    };
  }
  std::vector<double> losses;
  const auto hear = [&](const train::StepRecord& record) {
    losses.push_back(record.loss);
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (on_step) (*on_step)(train::to_json_line(record));
  };

  const py::gil_scoped_release release;
  const comm::LaunchEnvironment environment = next_environment();
  if (environment.world_size > 1) comm::prepare_process();
  const train::PreparedJob prepared = train::prepare(job, environment.world_size);
  comm::WorldOptions world_options;
  world_options.device = comm::pick_device(device);
  if (world_options.device.is_cpu()) runtime::MemoryMeter::install();
  comm::World world = comm::connect(environment, world_options);
  require_same_samples(prepared, world);
  const train::RunSummary summary = train::run(prepared, world, hear);
  OrderedJson out = summary_to_json(summary, options_to_json(prepared));
  out["losses"] = losses;
  return out.dump();
}

}  // namespace

void bind_training(py::module_& module) {
  module.def("train", &train, py::arg("options"), py::arg("make_samples"), py::arg("on_step"));
}

}  // namespace galvatron::binding
