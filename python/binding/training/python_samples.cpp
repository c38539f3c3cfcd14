#include "python_samples.h"

#include <torch/csrc/utils/pybind.h>

#include "galvatron/comm/torch_headers.h"

#include "input_names.h"

namespace py = pybind11;

namespace galvatron::binding {
namespace {

bool has_positions(spec::InputKind kind) {
  return kind != spec::InputKind::kImages && kind != spec::InputKind::kClasses;
}

}  // namespace

PythonSamples::PythonSamples(SharedObject samples, std::int64_t seq_length)
    : samples_(std::move(samples)), seq_length_(seq_length) {
  const py::gil_scoped_acquire acquire;
  size_ = samples_->attr("size").cast<std::int64_t>();
}

at::Tensor PythonSamples::fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                                Range tokens) const {
  at::Tensor rows;
  {
    const py::gil_scoped_acquire acquire;
    rows = samples_->attr("rows")(input_kind_name(kind), consumed, samples.begin, samples.size())
               .cast<at::Tensor>();
  }
  return has_positions(kind) ? rows.narrow(1, tokens.begin, tokens.size()) : rows;
}

bool PythonSamples::says(spec::InputKind kind) const {
  const py::gil_scoped_acquire acquire;
  return samples_->attr("says")(input_kind_name(kind)).cast<bool>();
}

std::string PythonSamples::state(std::int64_t consumed) const {
  const py::gil_scoped_acquire acquire;
  return samples_->attr("state")(consumed).cast<std::string>();
}

void PythonSamples::go_on_from(std::int64_t consumed, const std::string& state) const {
  const py::gil_scoped_acquire acquire;
  samples_->attr("go_on_from")(consumed, state);
}

double PythonSamples::num_labels(std::int64_t consumed, std::int64_t count) const {
  const py::gil_scoped_acquire acquire;
  return samples_->attr("num_labels")(consumed, count).cast<double>();
}

std::string PythonSamples::fingerprint() const {
  const py::gil_scoped_acquire acquire;
  return samples_->attr("fingerprint")().cast<std::string>();
}

}  // namespace galvatron::binding
