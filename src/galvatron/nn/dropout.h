// Dropout whose mask is a function of global positions, so that every plan drops the same elements
// and a recomputed layer drops them again.
#pragma once
#include <cstdint>

#include <ATen/core/Tensor.h>

#include "galvatron/base/partition.h"
#include "galvatron/nn/layer.h"

namespace galvatron::nn {

struct Dropout {
  double p = 0;           // probability of dropping
  std::uint64_t key = 0;  // random_key(seed, "block.3.residual")
  bool active(const LayerCall& call) const { return call.training && p > 0; }
};

// x [B, S, H] at the border of call.sequence.
at::Tensor dropout(const at::Tensor& x_BSH, const Dropout& options, const LayerCall& call);
// The same of another stream: `split` is call.context or call.before.
at::Tensor dropout(const at::Tensor& x_BSH, const Dropout& options, const LayerCall& call,
                   const SequenceSplit& split);
// x [B, T, f] inside the tensor-parallel region: this rank's `features` of `num_features`.
at::Tensor region_dropout(const at::Tensor& x_BTF, const Dropout& options, const LayerCall& call,
                          Range features, std::int64_t num_features);

// probabilities [B, N, Q, K] of the heads in `heads` of `num_heads`, over whole sequences; or [B *
// W, N, Q, K] of the W windows of each sample.
at::Tensor attention_dropout(const at::Tensor& probabilities, const Dropout& options,
                             const LayerCall& call, Range heads, std::int64_t num_heads);

}  // namespace galvatron::nn
