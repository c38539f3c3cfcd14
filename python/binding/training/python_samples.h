// Training samples that Python code makes: galvatron._samples.Samples as a SampleSource.
#pragma once
#include "galvatron/data/sample_source.h"

#include "shared_object.h"

namespace galvatron::binding {

// Takes the GIL for every call. Python exceptions pass through as they are.
class PythonSamples : public data::SampleSource {
 public:
  PythonSamples(SharedObject samples, std::int64_t seq_length);

  std::int64_t size() const override { return size_; }
  std::int64_t seq_length() const override { return seq_length_; }
  at::Tensor fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                   Range tokens) const override;
  bool says(spec::InputKind kind) const override;
  std::string state(std::int64_t consumed) const override;
  void go_on_from(std::int64_t consumed, const std::string& state) const override;
  // What a DataLoader reads ahead, its workers do; code of the user's runs in the user's thread.
  bool may_be_read_ahead() const override { return false; }
  double num_labels(std::int64_t consumed, std::int64_t count) const override;
  // Equal for equal first samples: ranks compare it.
  std::string fingerprint() const;

 private:
  SharedObject samples_;
  std::int64_t size_ = 0;
  std::int64_t seq_length_;
};

}  // namespace galvatron::binding
