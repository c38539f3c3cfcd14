// T5's relative position bias: a learned number for each head and each bucket of distances (Raffel
// et al. 2020, 2.1).
#pragma once
#include <cstdint>

#include <ATen/core/Tensor.h>

#include "galvatron/base/partition.h"

namespace galvatron::nn {

struct LayerCall;

struct RelativeBias {
  std::int64_t num_buckets = 0;   // 0: none
  std::int64_t max_distance = 0;  // from here on all distances share a bucket
  bool bidirectional = true;      // else tokens that lie ahead share the bucket of distance 0
};

// Bucket of each distance key - query from -(length - 1) to length - 1: int64 [2 * length - 1], on
// the CPU. Computed in single precision as transformers does, because distances lie on the borders
// of buckets.
at::Tensor relative_buckets(const RelativeBias& bias, std::int64_t length);

// table [num_buckets, heads of the model] -> what is added to the scores of the heads in `heads`,
// [1, n, length, length]. Backward: gradients of these heads' columns, zero in the others.
at::Tensor relative_bias(const at::Tensor& table, const RelativeBias& bias, Range heads,
                         std::int64_t length, const LayerCall& call);

}  // namespace galvatron::nn
