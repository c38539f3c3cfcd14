// Which sample of a file comes when: epoch after epoch, each in an order of its own.
#pragma once
#include <cstdint>

#include "galvatron/base/partition.h"

namespace galvatron::data {

struct EpochOrder {
  Range part;  // the file's samples that are used
  // A new order in each epoch, a function of (seed, epoch) only. Without it the file's order.
  bool shuffle = true;
  std::uint64_t seed = 1234;

  std::int64_t epoch_of(std::int64_t sample) const { return sample / part.size(); }
  // The file's sample that the run's sample `sample` is. REQUIRES: sample >= 0.
  std::int64_t index_in_file(std::int64_t sample) const;
};

}  // namespace galvatron::data
