#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <torch/csrc/utils/pybind.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/runtime/layer_call.h"

#include "bindings.h"
#include "input_names.h"
#include "one_rank_model.h"

namespace py = pybind11;

namespace galvatron::binding {
namespace {

at::ScalarType checked_type(at::ScalarType dtype) {
  for (const at::ScalarType known : {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf}) {
    if (dtype == known) return dtype;
  }
  throw ConfigError("[model] dtype is float32, float64, bfloat16 or float16, not ",
                    c10::toString(dtype));
}

py::list make_parameters(const OneRankModel& model, at::ScalarType dtype, at::Device device) {
  std::vector<NamedTensor> made;
  {
    const py::gil_scoped_release release;
    made = model.make_parameters(checked_type(dtype), device);
  }
  py::list out;
  for (NamedTensor& tensor : made)
    out.append(py::make_tuple(tensor.name, tensor.aliases, tensor.value));
  return out;
}

at::Tensor one_rank_logits(const OneRankModel& model, const std::vector<at::Tensor>& parameters,
                           const std::map<std::string, at::Tensor>& inputs,
                           std::int64_t first_sample, bool training) {
  ModelInputs by_kind;
  for (const auto& [name, value] : inputs) by_kind[parse_input_kind(name)] = value;
  const py::gil_scoped_release release;
  return model.logits(parameters, by_kind, first_sample, training);
}

std::vector<std::string> input_kinds(const OneRankModel& model) {
  std::vector<std::string> out;
  for (const spec::InputKind kind : runtime::input_kinds(model.model()))
    out.emplace_back(input_kind_name(kind));
  return out;
}

}  // namespace

void bind_models(py::module_& module) {
  const auto no_gil = py::call_guard<py::gil_scoped_release>();
  py::class_<OneRankModel>(module, "OneRankModel")
      .def(py::init<spec::ModelSpec, std::uint64_t>(), py::arg("spec"), py::arg("seed"), no_gil)
      .def_property_readonly("spec", &OneRankModel::model, py::return_value_policy::copy)
      .def_property_readonly("input_kinds", &input_kinds)
      .def("make_parameters", &make_parameters, py::arg("dtype"), py::arg("device"))
      .def_property_readonly("decays", &OneRankModel::decays)
      .def("load", &OneRankModel::load, py::arg("parameters"), py::arg("folder"), no_gil)
      .def("save", &OneRankModel::save, py::arg("parameters"), py::arg("folder"),
           py::arg("tokenizer"), no_gil)
      .def("logits", &one_rank_logits, py::arg("parameters"), py::arg("inputs"),
           py::arg("first_sample"), py::arg("training"));
}

}  // namespace galvatron::binding
