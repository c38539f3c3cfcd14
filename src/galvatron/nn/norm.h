// Normalisation over the last dimension. Parameters are whole on every rank.
#pragma once
#include <ATen/core/Tensor.h>

namespace galvatron::nn {

// x / sqrt(mean(x^2) + epsilon) * weight, statistics in at least fp32 (Zhang and Sennrich 2019).
// Keeps x and one number per token; torch's own is composite on the CPU and keeps twice as much.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double epsilon);

}  // namespace galvatron::nn
