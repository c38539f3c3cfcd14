// Training samples that Python code makes: galvatron._samples.Samples as a SampleSource.
#pragma once
#include <memory>

#include <pybind11/pybind11.h>

#include "galvatron/data/sample_source.h"

namespace galvatron::binding {

// A Python object that C++ may copy and drop without holding the GIL.
using SharedObject = std::shared_ptr<pybind11::object>;
SharedObject share(pybind11::object object);

// Takes the GIL for every call. Python exceptions pass through as they are.
class PythonSamples : public data::SampleSource {
 public:
  PythonSamples(SharedObject samples, std::int64_t seq_length);

  std::int64_t size() const override { return size_; }
  std::int64_t seq_length() const override { return seq_length_; }
  at::Tensor fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                   Range tokens) const override;
  bool says(spec::InputKind kind) const override;
  double num_labels(std::int64_t consumed, std::int64_t count) const override;
  // Equal for equal first samples: ranks compare it.
  std::string fingerprint() const;

 private:
  SharedObject samples_;
  std::int64_t size_ = 0;
  std::int64_t seq_length_;
};

}  // namespace galvatron::binding
