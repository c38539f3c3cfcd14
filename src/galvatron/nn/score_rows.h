// What softmax attention does to its scores between the products, on a CPU in fp32: each row is
// read and written once, in a cache. Beside it stand the same steps as torch's operators
// (blocked_attention.cpp), which other devices and fp64 take.
#pragma once
#include <cstdint>

#include <ATen/core/Tensor.h>

namespace galvatron::nn {

// Of a block of scores [b, n, queries, keys]: a score is softcap * tanh(scale * product / softcap),
// and a bias.
struct ScoreRule {
  double scale = 1;
  double softcap = 0;       // 0: none
  bool causal = false;      // a query sees no key behind its own place
  std::int64_t window = 0;  // of keys that a query sees; 0: all
  std::int64_t first = 0;   // place of the block's first query, counted from its first key
};

// Products become probabilities in place; result [b, n, queries, 1]: the log of each row's sum of
// exponentials. All tensors here are fp32 and contiguous, but for `bias`: undefined, or fp32 and
// expands to the products, its rows whole.
at::Tensor softmax_rows(const at::Tensor& products, const at::Tensor& bias, const ScoreRule& rule);

// The same again, from that log. `slope`: undefined, or becomes d score / d (scale * product).
void probability_rows(const at::Tensor& products, const at::Tensor& bias,
                      const at::Tensor& log_sums, const at::Tensor& slope, const ScoreRule& rule);

// Gradients of probabilities become `scale` times those of scores, times the slope where there is
// one. along [b, n, queries, 1]: the sum over a row of probability times gradient.
void score_gradient_rows(const at::Tensor& gradients, const at::Tensor& probabilities,
                         const at::Tensor& along, const at::Tensor& slope, double scale);

}  // namespace galvatron::nn
