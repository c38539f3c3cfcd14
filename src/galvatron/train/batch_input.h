// One step's global batch of a row of samples, as the runtime asks for it.
#pragma once
#include "galvatron/data/sample_source.h"
#include "galvatron/runtime/engine.h"

namespace galvatron::train {

class BatchInput : public runtime::InputSource {
 public:
  // Samples consumed .. consumed + global_batch - 1 of the run. `samples` must outlive this.
  BatchInput(const data::SampleSource& samples, std::int64_t global_batch, std::int64_t consumed)
      : samples_(samples), global_batch_(global_batch), consumed_(consumed) {}

  nn::Inputs fetch(Range samples, Range tokens) override {
    data::SampleBatch batch = samples_.fetch(consumed_, samples, tokens);
    return {std::move(batch.inputs), std::move(batch.labels)};
  }
  double num_labels() override {
    return static_cast<double>(global_batch_ * samples_.seq_length());
  }

 private:
  const data::SampleSource& samples_;
  std::int64_t global_batch_;
  std::int64_t consumed_;
};

}  // namespace galvatron::train
