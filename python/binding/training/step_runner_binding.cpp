// One rank of a training whose loop is Python's (galvatron.lightning).
#include <memory>

#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <torch/csrc/utils/pybind.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/train/step_runner.h"

#include "bindings.h"
#include "input_names.h"

namespace py = pybind11;

namespace galvatron::binding {
namespace {

using train::StepRunner;

struct WorldHolder {
  comm::World world;
};
// With the world that it runs in.
class OwningRunner : WorldHolder, public StepRunner {
 public:
  OwningRunner(const spec::ModelSpec& model, const plan::Plan& plan, comm::World joined,
               const runtime::EngineOptions& options)
      : WorldHolder{std::move(joined)}, StepRunner(model, plan, world, options) {}
};

// Leaving may wait for other ranks.
struct DeleteWithoutGil {
  void operator()(OwningRunner* runner) const {
    const py::gil_scoped_release release;
    delete runner;
  }
};
using RunnerHolder = std::unique_ptr<OwningRunner, DeleteWithoutGil>;

struct Launch {
  comm::LaunchEnvironment environment;
  comm::Limits limits;
};

// What the caller's launcher says: its keys are those of LaunchEnvironment and Limits.
Launch read_launch(const Text& text) {
  const Json json = from_text(text, "launch");
  JsonReader reader(json, "launch", Nulls::kAbsent);
  constexpr std::int64_t kMost = 1 << 30;
  const auto number = [&](const char* key, std::int64_t standard, std::int64_t least) {
    return static_cast<int>(reader.get_int_or(key, standard, least, kMost));
  };
  Launch out;
  comm::LaunchEnvironment& environment = out.environment;
  environment.rank = number("rank", 0, 0);
  environment.world_size = number("world_size", 1, 1);
  environment.local_rank = number("local_rank", 0, 0);
  environment.local_world_size = number("local_world_size", 1, 1);
  environment.master_addr = reader.get_string_or("master_addr", environment.master_addr);
  environment.master_port = number("master_port", 0, 0);
  environment.launcher = "lightning";
  out.limits.join = number("join_timeout", out.limits.join, 1);
  out.limits.step = number("step_timeout", out.limits.step, 1);
  out.limits.io = number("io_timeout", out.limits.io, 1);
  reader.finish();
  return out;
}

RunnerHolder make_runner(const spec::ModelSpec& model, const Text& plan_text,
                         const Text& launch_text, c10::Device device, std::uint64_t seed,
                         std::int64_t seq_length, bool initialise) {
  const Launch launch = read_launch(launch_text);
  const plan::Plan plan = to_plan(plan_text);
  const py::gil_scoped_release release;
  if (launch.environment.world_size > 1) comm::prepare_process();
  comm::WorldOptions options;
  options.device = device;
  options.limits = launch.limits;
  return RunnerHolder(new OwningRunner(model, plan, comm::connect(launch.environment, options),
                                       {seed, seq_length, initialise}));
}

train::BatchPart to_part(const std::map<std::string, at::Tensor>& inputs) {
  train::BatchPart out;
  for (const auto& [name, value] : inputs) out[parse_input_kind(name)] = value;
  return out;
}

double forward_backward(OwningRunner& runner, const std::map<std::string, at::Tensor>& inputs) {
  return runner.forward_backward(to_part(inputs));
}

// Loss, accuracy, and the number of labels that they are of.
std::tuple<double, double, double> evaluate(OwningRunner& runner,
                                            const std::map<std::string, at::Tensor>& inputs) {
  const runtime::Scores scores = runner.evaluate(to_part(inputs));
  return {scores.loss, scores.accuracy, scores.labels};
}

std::optional<at::Tensor> logits(OwningRunner& runner,
                                 const std::map<std::string, at::Tensor>& inputs) {
  const at::Tensor out = runner.logits(to_part(inputs));
  return out.defined() ? std::optional(out) : std::nullopt;
}

void set_optimizer(OwningRunner& runner, const std::string& name,
                   const std::map<std::string, double>& values) {
  runner.set_optimizer({name, values});
}

void assign(OwningRunner& runner, const std::string& part, const train::NamedTensors& tensors) {
  runner.assign(part, [&](const std::string& name) { return tensors.at(name); });
}

void export_weights(OwningRunner& runner, const std::filesystem::path& folder,
                    const std::filesystem::path& tokenizer) {
  train::ExportOptions options;
  options.tokenizer = tokenizer;
  runner.export_weights(folder, options);
}

std::filesystem::path save_checkpoint(OwningRunner& runner, const std::filesystem::path& folder,
                                      const std::string& run, const std::string& options) {
  train::CheckpointFacts facts;
  facts.run = run;
  facts.options = OrderedJson::parse(options);
  return runner.save_checkpoint(folder, facts);
}

}  // namespace

void bind_step_runner(py::module_& module) {
  const auto no_gil = py::call_guard<py::gil_scoped_release>();
  py::class_<OwningRunner, RunnerHolder>(module, "StepRunner")
      .def(py::init(&make_runner), py::arg("model"), py::arg("plan"), py::arg("launch"),
           py::arg("device"), py::arg("seed"), py::arg("seq_length"), py::arg("initialise"))
      .def_property_readonly("num_parts",
                             [](const OwningRunner& runner) { return runner.parts().count(); })
      .def_property_readonly(
          "part", [](const OwningRunner& runner) { return runner.parts().of(runner.rank()); })
      .def_property_readonly("has_optimizer", &StepRunner::has_optimizer)
      .def_property_readonly("steps_done", &StepRunner::steps_done)
      .def_property_readonly("optimizer_name",
                             [](OwningRunner& runner) { return runner.optimizer().spec().name; })
      .def_property_readonly("optimizer_states",
                             [](OwningRunner& runner) { return runner.optimizer().spec().states; })
      .def_property_readonly("optimizer_steps",
                             [](OwningRunner& runner) { return runner.optimizer().num_steps(); })
      .def("abort", &StepRunner::abort, py::arg("why"), no_gil)
      .def("forward_backward", &forward_backward, py::arg("inputs"), no_gil)
      .def("evaluate", &evaluate, py::arg("inputs"), no_gil)
      .def("logits", &logits, py::arg("inputs"), no_gil)
      .def("gradient_norm", &StepRunner::gradient_norm, no_gil)
      .def("scale_gradients", &StepRunner::scale_gradients, py::arg("factor"))
      .def("clip_norm", &StepRunner::clip_norm, py::arg("max_norm"), no_gil)
      .def("clip_values", &StepRunner::clip_values, py::arg("limit"), no_gil)
      .def("update", &StepRunner::update, py::arg("learning_rate"), no_gil)
      .def("set_optimizer", &set_optimizer, py::arg("name"), py::arg("values"))
      .def(
          "set_optimizer_option",
          [](OwningRunner& runner, const std::string& name, double value) {
            runner.optimizer().set_option(name, value);
          },
          py::arg("name"), py::arg("value"))
      .def(
          "set_vector_decay",
          [](OwningRunner& runner, double value) { runner.optimizer().set_vector_decay(value); },
          py::arg("value"))
      .def("load_weights", &StepRunner::load_weights, py::arg("folder"), no_gil)
      .def("export_weights", &export_weights, py::arg("folder"), py::arg("tokenizer"), no_gil)
      .def("whole_tensors", &StepRunner::whole_tensors, py::arg("part"), no_gil)
      .def("assign", &assign, py::arg("part"), py::arg("tensors"), no_gil)
      .def("set_progress", &StepRunner::set_progress, py::arg("steps_done"),
           py::arg("optimizer_steps"))
      .def("save_checkpoint", &save_checkpoint, py::arg("folder"), py::arg("run"),
           py::arg("options"), no_gil)
      .def("load_checkpoint", &StepRunner::load_checkpoint, py::arg("checkpoint"),
           py::arg("weights_only"), no_gil);
}

}  // namespace galvatron::binding
