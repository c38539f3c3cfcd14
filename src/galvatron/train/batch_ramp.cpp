#include "galvatron/train/batch_ramp.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"

namespace galvatron::train {

BatchRamp::BatchRamp(const std::vector<int>& numbers, std::int64_t global_batch,
                     int num_microbatches)
    : global_batch_(global_batch) {
  if (numbers.empty()) return;
  const std::string shown = fmt::format("[train] --batch-rampup {}", fmt::join(numbers, ","));
  if (numbers.size() != 3) {
    throw ConfigError(shown,
                      ": needs three numbers, the first batch, what is added, and the samples "
                      "after which it is the global batch");
  }
  start_ = numbers[0];
  increment_ = numbers[1];
  samples_ = numbers[2];
  if (start_ >= global_batch) {
    throw ConfigError(shown, ": does not grow from ", start_, " to the global batch of ",
                      global_batch, "; begin with fewer, or leave it away");
  }
  if ((global_batch - start_) % increment_ != 0) {
    throw ConfigError(shown, ": steps of ", increment_, " do not lead from ", start_,
                      " to the global batch of ", global_batch, "; they must divide ",
                      global_batch - start_);
  }
  if (start_ < num_microbatches) {
    throw ConfigError(shown, ": the first batch of ", start_, " leaves some of the ",
                      num_microbatches, " microbatches without a sample; begin with ",
                      num_microbatches, " or more");
  }
}

std::int64_t BatchRamp::at(std::int64_t consumed) const {
  if (consumed >= samples_) return global_batch_;
  const std::int64_t num_increments = (global_batch_ - start_) / increment_;
  return start_ + consumed * num_increments / samples_ * increment_;
}

}  // namespace galvatron::train
