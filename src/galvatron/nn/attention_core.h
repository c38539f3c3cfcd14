// softmax(q k^T scale + bias) v, for the heads that a rank has over whole sequences: what all kinds
// of attention end in.
#pragma once
#include <ATen/core/Tensor.h>

#include "galvatron/nn/dropout.h"
#include "galvatron/nn/layer.h"

namespace galvatron::nn {

struct AttentionCore {
  double scale = 1;                 // of q.k before the softmax
  bool causal = false;              // token i sees tokens 0 .. i
  std::int64_t sliding_window = 0;  // with causal: the last so many of them alone; 0: all
  double softcap = 0;               // scores x become cap * tanh(x / cap); 0: they stay
  Dropout dropout = {};             // of the probabilities
  std::int64_t num_heads = 1;       // of the model: addresses dropout masks
  Range heads = {};                 // which of them these are
};

// q [B, n, Q, D], k and v [B, m, K, D] with n a multiple of m; `bias` is undefined or broadcasts to
// [B, n, Q, K], in q's type, and may want a gradient. A query sees the keys of its own document;
// what comes of padding has no meaning, and no NaN. Result [B, n, Q, D]. An empty batch keeps its
// place in the graph.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const at::Tensor& bias, const AttentionCore& core, const LayerCall& call,
                  const DocumentPair& documents = {});

// Fused projections [B, T, sum of `segments`, D] of a rank's tokens, segments of heads such as [q |
// k | v] one after another -> its share of every segment over the whole sequence, [B, L, sum / u,
// D]. `sizes[i]` is T of rank i.
at::Tensor fused_to_heads(const at::Tensor& x_BTND, const std::vector<std::int64_t>& segments,
                          const comm::Group& ulysses, const std::vector<std::int64_t>& sizes);

}  // namespace galvatron::nn
