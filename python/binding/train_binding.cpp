#include <atomic>

#include <fmt/format.h>
#include <pybind11/stl.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/stop_signals.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/runtime/memory_meter.h"
#include "galvatron/train/gather.h"
#include "galvatron/train/train_options.h"

#include "bindings.h"
#include "python_samples.h"
#include "python_words.h"

namespace py = pybind11;

namespace galvatron::binding {
namespace {

void read_job(const std::string& text, train::TrainJob& job) {
  const Json json = from_text(text, "train");
  const OptionList options = train::train_options(job);
  options.read(json, "train");
  const std::string given = options.given_of(json, train::kUniformOptions);
  for (const auto& [name, value] : json.items()) {
    if (!value.is_null()) job.given.push_back(name);
  }
  train::refuse_beside_plan(job, given.empty() ? given : "[train] " + given, "plan");
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

// After a signal, once all is saved: Ctrl-C is Python's own exception, what a scheduler sends ends
// the program with the exit code that says that it can go on.
[[noreturn]] void leave(const train::RunSummary& summary) {
  const py::gil_scoped_acquire acquire;
  const int signal = comm::StopSignals::received();
  const bool saved = !summary.checkpoint.empty();
  const std::string words =
      fmt::format("stopped after step {}; {}", summary.last_step,
                  saved ? "saved " + summary.checkpoint : "nothing was saved: there is no save");
  if (signal == SIGINT) {
    PyErr_SetString(PyExc_KeyboardInterrupt, words.c_str());
  } else {
    py::print(words, py::arg("file") = py::module_::import("sys").attr("stderr"));
    PyErr_SetObject(PyExc_SystemExit, py::int_(saved ? comm::kExitResumable : 128 + SIGTERM).ptr());
  }
  throw py::error_already_set();
}

std::string train(const std::string& options, const std::optional<py::function>& make_samples,
                  const std::optional<py::function>& on_step) {
  train::TrainJob job;
  read_job(options, job);
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
  train::RunListener listener;
  listener.on_step = [&](const train::StepRecord& record) {
    losses.push_back(record.loss);
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();  // of before the run
    if (on_step) (*on_step)(train::to_json_line(record));
  };
  listener.on_note = [](const std::string& line) {
    const py::gil_scoped_acquire acquire;
    py::print(line, py::arg("file") = py::module_::import("sys").attr("stderr"));
  };

  const py::gil_scoped_release release;
  const comm::LaunchEnvironment environment = next_environment();
  if (environment.world_size > 1) comm::prepare_process();
  const train::PreparedJob prepared = train::prepare(job, environment.world_size);
  comm::WorldOptions world_options;
  world_options.device = comm::pick_device(job.device);
  world_options.limits = job.limits;
  if (world_options.device.is_cpu()) runtime::MemoryMeter::install();
  comm::World world = comm::connect(environment, world_options);
  require_same_samples(prepared, world);
  const comm::StopSignals signals;
  const train::RunSummary summary = train::run(prepared, world, listener);
  if (!summary.failure.empty()) throw RuntimeFailure(summary.failure);
  if (summary.stopped) leave(summary);
  OrderedJson out = summary_to_json(summary, options_to_json(prepared));
  out["losses"] = losses;
  return out.dump();
}

}  // namespace

void bind_training(py::module_& module) {
  module.def("train_options", [] {
    train::TrainJob job;
    return describe_in_python_words(train::train_options(job));
  });
  module.def("train", &train, py::arg("options"), py::arg("make_samples"), py::arg("on_step"));
}

}  // namespace galvatron::binding
