// The arithmetic of reductions, the same for every CPU backend, so that their results are equal bit
// by bit.
#pragma once
#include <span>

#include <ATen/core/Tensor.h>

#include "galvatron/comm/group.h"

namespace galvatron::comm {

// output = parts[0] + parts[1] + ... (or their maximum), element by element in this order; fp16 and
// bf16 are summed in fp32 and rounded once. All contiguous CPU tensors of one dtype and size;
// `output` may be one of the parts.
void reduce_in_order(at::Tensor& output, std::span<const at::Tensor> parts, Reduction reduction);

// Copies without autograd noticing: neither a graph node nor a version bump. Same dtype and numel,
// contiguous.
void copy_raw(const at::Tensor& to, const at::Tensor& from);

// A flat view of `tensor` without autograd: slice `index` of `count` equal ones.
at::Tensor flat_slice(const at::Tensor& tensor, std::int64_t begin, std::int64_t size);

}  // namespace galvatron::comm
