// Autograd collectives of the tensor-parallel and Ulysses regions. Each names its backward.
#pragma once
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/comm/group.h"
#include "galvatron/nn/float8.h"

namespace galvatron::nn {

// Sizes along the sequence may differ by rank: `sizes[i]` is rank i's, they sum to the gathered
// length. Dimension 1 is the sequence. Nothing is sent for a group of one or an empty batch.

// Forward: all-gather along the sequence. Backward: reduce-scatter.
at::Tensor gather_sequence(const at::Tensor& x_BSH, const comm::Group& group,
                           const std::vector<std::int64_t>& sizes);

// Forward: sum over ranks, of the same shape on each. Backward: the same sum of the gradients.
at::Tensor sum_over_group(const at::Tensor& x, const comm::Group& group);

// Forward: sum over ranks, keep this rank's tokens (reduce-scatter). Backward: all-gather.
at::Tensor reduce_scatter_sequence(const at::Tensor& x_BTH, const comm::Group& group,
                                   const std::vector<std::int64_t>& sizes);

// y = gather_sequence(x) W^T + b. Only the local x is kept for backward, which gathers it again
// (Korthikanti et al. 2022, section 4.2.2). `bias` may be undefined.
// In float8 the gathered x is rounded.
at::Tensor column_parallel_linear(const at::Tensor& x_BSH, const at::Tensor& weight,
                                  const at::Tensor& bias, const comm::Group& group,
                                  const std::vector<std::int64_t>& sizes,
                                  LinearPrecision precision = LinearPrecision::kCompute);

// y = reduce_scatter_sequence(x W^T) + b. `bias` is whole on every rank and may be undefined.
at::Tensor row_parallel_linear(const at::Tensor& x_BTI, const at::Tensor& weight,
                               const at::Tensor& bias, const comm::Group& group,
                               const std::vector<std::int64_t>& sizes,
                               LinearPrecision precision = LinearPrecision::kCompute);

// Forward: sequence-split [B, T, u*h, D] to head-split [B, L, h, D]. Backward: the reverse.
// `sizes[i]` is T of rank i. Heads that go to rank i are the i-th of u equal chunks (Jacobs et al.
// 2023, DeepSpeed-Ulysses).
at::Tensor sequence_to_heads(const at::Tensor& x_BTND, const comm::Group& group,
                             const std::vector<std::int64_t>& sizes);
// The inverse of sequence_to_heads.
at::Tensor heads_to_sequence(const at::Tensor& x_BLhD, const comm::Group& group,
                             const std::vector<std::int64_t>& sizes);

}  // namespace galvatron::nn
