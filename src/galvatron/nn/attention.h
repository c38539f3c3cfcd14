// Self-attention with tensor parallelism over heads and Ulysses over the sequence.
#pragma once
#include <ATen/core/Tensor.h>

#include "galvatron/nn/dropout.h"
#include "galvatron/nn/layer.h"
#include "galvatron/nn/relative_bias.h"
#include "galvatron/nn/rotary.h"
#include "galvatron/nn/window_attention.h"

namespace galvatron::nn {

// RMS norm of queries and keys: of each head, or of all heads of a token at once.
enum class HeadNorm { kNone, kEach, kTogether };

struct AttentionOptions {
  std::int64_t num_heads = 1;  // of the model, not of this rank
  std::int64_t num_kv_heads = 1;
  std::int64_t head_size = 1;
  double scale = 1;                 // of q.k before the softmax
  Rotary rotary;                    // of queries and keys
  bool causal = true;               // else all tokens see all
  std::int64_t sliding_window = 0;  // tokens that a token sees; 0: all before it
  double softcap = 0;               // of the scores (AttentionCore)
  HeadNorm head_norm = HeadNorm::kNone;
  double head_norm_epsilon = 0;
  double head_norm_offset = 0;  // as of rms_norm
  RelativeBias relative_bias;   // how the table below is read
  WindowOptions window;         // tokens see those of their window alone
  bool recompute_core = false;  // rotary and softmax(QK^T)V again in the backward
  Dropout dropout;              // of the probabilities
  LinearPrecision linears = LinearPrecision::kCompute;
};

struct AttentionParams {
  at::Tensor qkv_weight;     // [(n + 2k) * D, H], this rank's heads
  at::Tensor qkv_bias;       // may be undefined
  at::Tensor output_weight;  // [H, n * D]
  at::Tensor output_bias;    // may be undefined
  at::Tensor query_norm;     // [D], together [n * D]; undefined without head norms
  at::Tensor key_norm;       // [D], together [k * D]
  at::Tensor
      window_bias;  // [(2 * size - 1)^2, n] by offset inside a window; undefined without windows
  at::Tensor relative_bias;  // [buckets, heads of the model], whole; may be undefined
};

// x and the result: [B, S, H] at the layer's border.
at::Tensor self_attention(const at::Tensor& x_BSH, const AttentionParams& params,
                          const AttentionOptions& options, const LayerGroups& groups,
                          const LayerCall& call);

}  // namespace galvatron::nn
