// Activation recomputation of a part of a layer: keep the inputs, run the part again in the
// backward.
#pragma once
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace galvatron::nn {

using RecomputedFunction = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

// y = fn(inputs) with the inputs kept instead of what fn keeps. `fn` must be a pure function of
// them, of captured values and of captured tensors that need no gradient (Chen et al. 2016).
// REQUIRES: every input is defined and matters to y.
at::Tensor recomputed(const RecomputedFunction& fn, const std::vector<at::Tensor>& inputs);

}  // namespace galvatron::nn
