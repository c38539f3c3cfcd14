// Normalisation over the last dimension. Parameters are whole on every rank, unless said otherwise.
#pragma once
#include <ATen/core/Tensor.h>

#include "galvatron/comm/group.h"

namespace galvatron::nn {

// x / sqrt(mean(x^2) + epsilon) * (offset + weight), statistics in at least fp32 (Zhang and
// Sennrich 2019). Keeps x and one number per token; torch's own is composite on the CPU and keeps
// twice as much. With an offset (Gemma's 1) the product is in the statistics' type, too.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                    double offset = 0);

// The same where the ranks of `group` hold equal parts of the last dimension and of the weight.
at::Tensor divided_rms_norm(const at::Tensor& x_BTH, const at::Tensor& weight, double epsilon,
                            const comm::Group& group);

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double epsilon);

}  // namespace galvatron::nn
