// What updates that are written out element by element share.
#pragma once
#include <cstdint>

#include "galvatron/comm/torch_headers.h"

namespace galvatron::train {

// At a time, for which there is room to compute in: a multiple of the blocks that ParamUnit shards
// by.
inline constexpr std::int64_t kElementsAtOnce = std::int64_t{1} << 18;

// In fp64, what counts as zero becomes it. Where gradients cancel, as those of a key's bias do in
// the softmax, rounding is left, and an update that takes its sign, or divides it by its own size,
// would make a whole step of it, in a direction that depends on the order of sums: on the plan.
inline void drop_cancelled(at::Tensor& values) {
  constexpr double kCancelled = 1e-15;
  if (values.scalar_type() == at::kDouble) values.masked_fill_(values.abs() < kCancelled, 0);
}

}  // namespace galvatron::train
