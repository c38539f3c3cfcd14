// Rotary position embedding (Su et al. 2021): pairs of a head's dims turned by angles that grow
// with the token's position.
#pragma once
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/nn/layer.h"

namespace galvatron::nn {

struct Rotary {
  std::vector<double> inverse_frequencies;  // of the pairs that are turned; empty: none
  double scale = 1;                         // of cos and sin
};

// x [B, L, n, D] at the call's positions. Of the dims that are turned the first half is paired with
// the second, as Hugging Face does; those behind them stay.
at::Tensor rotated(const at::Tensor& x_BLND, const Rotary& rotary, const LayerCall& call);

}  // namespace galvatron::nn
