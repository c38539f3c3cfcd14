// Batches that grow: how many samples a step takes, as a function of the samples that were taken
// before it. Megatron-LM's rule: from `start` to the global batch in equal steps of `increment`,
// each for as many samples as the others, together for `samples`. Pure arithmetic.
#pragma once
#include <cstdint>
#include <vector>

namespace galvatron::train {

class BatchRamp {
 public:
  // `numbers`: start, increment and samples, or nothing for a batch that does not grow.
  // ConfigError unless the increments lead from the start to `global_batch`, and each microbatch of
  // the first step has a sample.
  BatchRamp(const std::vector<int>& numbers, std::int64_t global_batch, int num_microbatches);

  // Samples of the step that comes after `consumed` samples.
  std::int64_t at(std::int64_t consumed) const;

 private:
  std::int64_t global_batch_;
  std::int64_t start_ = 0, increment_ = 0, samples_ = 0;  // samples_ 0: does not grow
};

}  // namespace galvatron::train
