// Products of narrow matrices that are added up in a wide one.
#pragma once
#include <ATen/core/Tensor.h>

namespace galvatron::nn {

enum class IntoSum { kSet, kAdd };

// sum [M, N] = alpha a [K, M]^T b [K, N], or += it. `sum` has the type of a and b, or is fp32 where
// they are bf16 or fp16: then all is in fp32 on CUDA, and on a CPU a block of rows of the product
// is rounded to a's type before it is added. Nothing as large as `sum` is made. `sum` is
// contiguous; it may be uninitialised for kSet.
void add_product(at::Tensor& sum_MN, const at::Tensor& a_KM, const at::Tensor& b_KN, double alpha,
                 IntoSum how);

}  // namespace galvatron::nn
