// What collectives should compute, written as plainly as possible.
#pragma once
#include <vector>

#include "galvatron/comm/torch_headers.h"

namespace galvatron::comm {

// Element by element in the order of `parts`; bf16 and fp16 in fp32, rounded once.
inline at::Tensor sum_in_order(const std::vector<at::Tensor>& parts) {
  const at::ScalarType dtype = parts[0].scalar_type();
  const bool half = dtype == at::kBFloat16 || dtype == at::kHalf;
  at::Tensor sum = parts[0].to(half ? at::kFloat : dtype).clone();
  for (std::size_t i = 1; i < parts.size(); ++i) sum = sum + parts[i].to(sum.scalar_type());
  return sum.to(dtype);
}

}  // namespace galvatron::comm
