#include <fmt/format.h>
#include <pybind11/stl.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/stop_signals.h"
#include "galvatron/comm/torch_headers.h"

#include "bindings.h"
#include "python_words.h"
#include "training_job.h"

namespace py = pybind11;

namespace galvatron::binding {
namespace {

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
                  const std::optional<py::function>& on_step,
                  const std::optional<py::function>& on_first_rank) {
  train::TrainJob job;
  read_job(options, train::train_options(job), "train", job);
  take_samples(make_samples, job);
  std::vector<double> losses;
  train::RunListener listener;
  listener.on_step = [&](const train::StepRecord& record) {
    losses.push_back(record.loss);
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();  // of before the run
    if (on_step) (*on_step)(train::to_json_line(record));
  };
  listener.on_note = print_note;
  const auto tell = [&](const char* what, const std::string& text) {
    const py::gil_scoped_acquire acquire;
    (*on_first_rank)(what, text);
  };
  if (on_first_rank) {
    listener.on_start = [&](const OrderedJson& run) { tell("start", run.dump()); };
    listener.on_first_rank = [&](const train::StepRecord& record) {
      tell("step", train::to_json_line(record));
    };
  }

  const py::gil_scoped_release release;
  const comm::LaunchEnvironment environment = next_environment();
  if (environment.world_size > 1) comm::prepare_process();
  const train::PreparedJob prepared = train::prepare(job, environment.world_size);
  comm::World world = connect(job, environment);
  require_same_samples(*prepared.samples, world);
  const comm::StopSignals signals;
  const train::RunSummary summary = train::run(prepared, world, listener);
  if (!summary.failure.empty()) throw RuntimeFailure(summary.failure);
  if (summary.stopped) leave(summary);
  OrderedJson out = summary_to_json(summary, options_to_json(prepared));
  out["losses"] = losses;
  out["text"] = in_python_words(train::summary_table(summary));
  return out.dump();
}

std::string evaluate_job(const std::string& options,
                         const std::optional<py::function>& make_samples) {
  train::TrainJob job;
  train::EvaluationRequest request;
  read_job(options, train::evaluation_options(job, request), "evaluate", job);
  train::be_evaluated(job, request);
  take_samples(make_samples, job);
  train::RunListener listener;
  listener.on_note = print_note;

  const py::gil_scoped_release release;
  const comm::LaunchEnvironment environment = next_environment();
  if (environment.world_size > 1) comm::prepare_process();
  const train::PreparedJob prepared = train::prepare_evaluation(job, environment.world_size);
  comm::World world = connect(job, environment);
  require_same_samples(*prepared.valid, world);
  const train::EvaluationSummary summary =
      train::evaluate(prepared, world, request.num_batches, listener);
  return evaluation_to_json(summary, prepared.plan).dump();
}

}  // namespace

void bind_training(py::module_& module) {
  module.def("train_options", [] {
    train::TrainJob job;
    return describe_in_python_words(train::train_options(job));
  });
  module.def("train", &train, py::arg("options"), py::arg("make_samples"), py::arg("on_step"),
             py::arg("on_first_rank"));
  module.def("evaluate_options", [] {
    train::TrainJob job;
    train::EvaluationRequest request;
    return describe_in_python_words(train::evaluation_options(job, request));
  });
  module.def("evaluate", &evaluate_job, py::arg("options"), py::arg("make_samples"));
}

}  // namespace galvatron::binding
