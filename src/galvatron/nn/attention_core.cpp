#include "galvatron/nn/attention_core.h"

#include <limits>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/collectives.h"

namespace galvatron::nn {
namespace {

at::Tensor repeat_heads(const at::Tensor& x, std::int64_t times) {
  return times == 1 ? x : x.repeat_interleave(times, 1);
}

at::Tensor explicit_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const at::Tensor& bias, const AttentionCore& core,
                              const LayerCall& call) {
  const std::int64_t repeat = q.size(1) / k.size(1);
  at::Tensor scores = at::matmul(q, repeat_heads(k, repeat).transpose(2, 3)).mul(core.scale);
  if (bias.defined()) scores = scores + bias;
  if (core.causal) {
    const at::Tensor future =
        at::ones({q.size(2), k.size(2)}, q.options().dtype(at::kBool)).triu(1);
    scores = scores.masked_fill(future, -std::numeric_limits<double>::infinity());
  }
  const at::ScalarType wide = q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor probabilities = at::softmax(scores, -1, wide).to(q.scalar_type());
  return at::matmul(
      attention_dropout(probabilities, core.dropout, call, core.heads, core.num_heads),
      repeat_heads(v, repeat));
}

// Rows lie as [q heads | k heads | v heads]; rank i must get its share of each. Regroup to [rank][q
// | k | v] so that equal chunks of the head dimension are whole parts.
at::Tensor regroup(const at::Tensor& x_BTND, const std::vector<std::int64_t>& segments, int u) {
  const std::int64_t batch = x_BTND.size(0), tokens = x_BTND.size(1), head_size = x_BTND.size(3);
  std::vector<at::Tensor> parts;
  for (const at::Tensor& part : x_BTND.split_with_sizes(segments, 2)) {
    parts.push_back(part.reshape({batch, tokens, u, part.size(2) / u, head_size}));
  }
  return at::cat(parts, 3).view({batch, tokens, x_BTND.size(2), head_size});
}

}  // namespace

at::Tensor fused_to_heads(const at::Tensor& x_BTND, const std::vector<std::int64_t>& segments,
                          const comm::Group& ulysses, const std::vector<std::int64_t>& sizes) {
  if (ulysses.size() == 1) return x_BTND;
  return sequence_to_heads(regroup(x_BTND, segments, ulysses.size()), ulysses, sizes);
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const at::Tensor& bias, const AttentionCore& core, const LayerCall& call) {
  if (q.size(0) == 0) {
    const at::Tensor nothing = k.sum() + v.sum();
    return q * (bias.defined() ? nothing + bias.sum() : nothing);
  }
  // torch refuses a causal mask beside a bias; with both, or with dropout, everything is written
  // out.
  if (core.dropout.active(call) || (core.causal && bias.defined()))
    return explicit_attention(q, k, v, bias, core, call);
  const std::int64_t repeat = q.size(1) / k.size(1);
  const auto mask = bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt;
  // On CUDA only the half-precision kernels know grouped heads; the fallback would build the score
  // matrix.
  const bool spread = repeat > 1 && q.is_cuda() && q.scalar_type() == at::kFloat;
  if (spread) {
    return at::scaled_dot_product_attention(q, repeat_heads(k, repeat), repeat_heads(v, repeat),
                                            mask, 0.0, core.causal, core.scale);
  }
  return at::scaled_dot_product_attention(q, k, v, mask, 0.0, core.causal, core.scale,
                                          /*enable_gqa=*/repeat > 1);
}

}  // namespace galvatron::nn
