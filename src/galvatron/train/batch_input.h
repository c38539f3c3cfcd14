// One step's global batch of a row of samples, as the runtime asks for it.
#pragma once
#include <optional>

#include "galvatron/data/sample_source.h"
#include "galvatron/runtime/engine.h"

namespace galvatron::train {

class BatchInput : public runtime::InputSource {
 public:
  // Samples consumed .. consumed + global_batch - 1 of the run. `samples` must outlive this.
  BatchInput(const data::SampleSource& samples, std::int64_t global_batch, std::int64_t consumed)
      : samples_(samples), global_batch_(global_batch), consumed_(consumed) {}

  at::Tensor fetch(spec::InputKind kind, Range samples, Range tokens) override {
    return samples_.fetch(kind, consumed_, samples, tokens);
  }
  bool says(spec::InputKind kind) const override { return samples_.says(kind); }
  double num_labels() override {
    if (!num_labels_) num_labels_ = samples_.num_labels(consumed_, global_batch_);
    return *num_labels_;
  }

 private:
  const data::SampleSource& samples_;
  std::int64_t global_batch_;
  std::int64_t consumed_;
  std::optional<double> num_labels_;  // counted once: it may mean to make all samples
};

}  // namespace galvatron::train
