// Activation recomputation of a part of a layer: keep the inputs, run the part again in the backward.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>

namespace galvatron::nn {

// y = fn(x) with x kept instead of what fn keeps. `fn` must be a pure function of x and of captured tensors that need no
// gradient. One input, one output (Chen et al. 2016).
at::Tensor recomputed(const std::function<at::Tensor(const at::Tensor&)>& fn, const at::Tensor& x);

}  // namespace galvatron::nn
