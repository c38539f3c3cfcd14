// Attention of one stream to another, with tensor parallelism over heads and Ulysses over both
// sequences.
#pragma once
#include <ATen/core/Tensor.h>

#include "galvatron/nn/dropout.h"
#include "galvatron/nn/layer.h"

namespace galvatron::nn {

struct CrossAttentionOptions {
  std::int64_t num_heads = 1;  // of the model, not of this rank
  std::int64_t head_size = 1;
  double scale = 1;  // of q.k before the softmax
  bool recompute_core = false;
  Dropout dropout;  // of the probabilities
  LinearPrecision linears = LinearPrecision::kCompute;
};

struct CrossAttentionParams {
  at::Tensor query_weight;      // [n * D, H], this rank's heads
  at::Tensor key_value_weight;  // [2n * D, H], keys first
  at::Tensor output_weight;     // [H, n * D]
};

// x [B, S, H] asks, at the border of call.sequence; context [B, C, H], at the border of
// call.context, answers whole. The result lies as x.
at::Tensor cross_attention(const at::Tensor& x_BSH, const at::Tensor& context_BCH,
                           const CrossAttentionParams& params, const CrossAttentionOptions& options,
                           const LayerGroups& groups, const LayerCall& call);

}  // namespace galvatron::nn
