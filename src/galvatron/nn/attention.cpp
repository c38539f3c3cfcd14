#include "galvatron/nn/attention.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/collectives.h"
#include "galvatron/nn/norm.h"
#include "galvatron/nn/recompute.h"

namespace galvatron::nn {
namespace {

// Heads of one rank inside the attention core: n query heads, k key and value heads.
struct LocalHeads {
  std::int64_t query = 0;
  std::int64_t key_value = 0;
  std::int64_t total() const { return query + 2 * key_value; }
};

// qkv rows lie as [q heads | k heads | v heads]; Ulysses rank i must get its share of each. Regroup to
// [rank][q | k | v] so that equal chunks of the head dimension are whole parts.
at::Tensor regroup_for_ulysses(const at::Tensor& qkv_BTND, const LocalHeads& heads, int u) {
  const std::int64_t batch = qkv_BTND.size(0), tokens = qkv_BTND.size(1), head_size = qkv_BTND.size(3);
  const auto part = [&](std::int64_t begin, std::int64_t count) {
    return qkv_BTND.narrow(2, begin, count).reshape({batch, tokens, u, count / u, head_size});
  };
  return at::cat({part(0, heads.query), part(heads.query, heads.key_value),
                  part(heads.query + heads.key_value, heads.key_value)},
                 3)
      .view({batch, tokens, heads.total(), head_size});
}

// The first half of each head is paired with the second, as Hugging Face does. x [B, L, n, D]; tables [L, 1, D / 2].
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
  const std::int64_t half = x.size(3) / 2;
  const at::Tensor first = x.narrow(3, 0, half), second = x.narrow(3, half, half);
  return at::cat({first * cosine - second * sine, second * cosine + first * sine}, 3);
}

struct RotaryTables {
  at::Tensor cosine, sine;
};

RotaryTables rotary_tables(const AttentionOptions& options, std::int64_t length, const at::Tensor& like) {
  const bool fp64 = like.scalar_type() == at::kDouble;
  const auto wide = at::TensorOptions().dtype(fp64 ? at::kDouble : at::kFloat).device(like.device());
  const at::Tensor frequencies = at::tensor(options.inverse_frequencies, at::kDouble).to(wide);
  const at::Tensor angles = at::arange(length, wide).unsqueeze(1) * frequencies.unsqueeze(0);
  const auto table = [&](const at::Tensor& values) {
    return values.mul(options.rotary_scale).to(like.scalar_type()).unsqueeze(1);
  };
  return {table(angles.cos()), table(angles.sin())};
}

at::Tensor explicit_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const AttentionOptions& options, const LayerCall& call, Range heads) {
  const std::int64_t repeat = q.size(1) / k.size(1), length = q.size(2);
  const at::Tensor keys = repeat == 1 ? k : k.repeat_interleave(repeat, 1);
  const at::Tensor values = repeat == 1 ? v : v.repeat_interleave(repeat, 1);
  at::Tensor scores = at::matmul(q, keys.transpose(2, 3)).mul(options.scale);
  if (options.causal) {
    const at::Tensor future = at::ones({length, length}, q.options().dtype(at::kBool)).triu(1);
    scores = scores.masked_fill(future, -std::numeric_limits<double>::infinity());
  }
  const at::ScalarType wide = q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor probabilities = at::softmax(scores, -1, wide).to(q.scalar_type());
  return at::matmul(attention_dropout(probabilities, options.dropout, call, heads, options.num_heads), values);
}

// Heads are whole on a rank, so their norms need no other.
at::Tensor norm_heads(const at::Tensor& qkv_BTND, const LocalHeads& heads, const AttentionParams& params, double epsilon) {
  const at::Tensor q = rms_norm(qkv_BTND.narrow(2, 0, heads.query), params.query_norm, epsilon);
  const at::Tensor k = rms_norm(qkv_BTND.narrow(2, heads.query, heads.key_value), params.key_norm, epsilon);
  return at::cat({q, k, qkv_BTND.narrow(2, heads.query + heads.key_value, heads.key_value)}, 2);
}

// qkv [B, L, n + 2k, D] of this rank's heads over the whole sequence -> context [B, L, n, D].
at::Tensor attention_core(const at::Tensor& qkv_BLND, const LocalHeads& heads, const AttentionOptions& options,
                          const LayerCall& call, Range global_heads) {
  at::Tensor q = qkv_BLND.narrow(2, 0, heads.query);
  at::Tensor k = qkv_BLND.narrow(2, heads.query, heads.key_value);
  const at::Tensor v = qkv_BLND.narrow(2, heads.query + heads.key_value, heads.key_value).transpose(1, 2);
  if (!options.inverse_frequencies.empty()) {
    const RotaryTables tables = rotary_tables(options, qkv_BLND.size(1), qkv_BLND);
    q = rotate(q, tables.cosine, tables.sine);
    k = rotate(k, tables.cosine, tables.sine);
  }
  q = q.transpose(1, 2);
  k = k.transpose(1, 2);
  if (qkv_BLND.size(0) == 0) return (q * v.sum()).transpose(1, 2);  // an empty batch keeps its place in the graph
  if (options.dropout.active(call)) return explicit_attention(q, k, v, options, call, global_heads).transpose(1, 2);
  const bool grouped = heads.query != heads.key_value;
  if (grouped && q.is_cuda() && q.scalar_type() == at::kFloat) {
    // On CUDA only the half-precision kernels know grouped heads; the fallback would build the score matrix.
    const std::int64_t repeat = heads.query / heads.key_value;
    return at::scaled_dot_product_attention(q, k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1), {}, 0.0,
                                            /*is_causal=*/options.causal, options.scale)
        .transpose(1, 2);
  }
  return at::scaled_dot_product_attention(q, k, v, {}, 0.0, /*is_causal=*/options.causal, options.scale, grouped).transpose(1, 2);
}

}  // namespace

at::Tensor self_attention(const at::Tensor& x_BSH, const AttentionParams& params, const AttentionOptions& options,
                          const LayerGroups& groups, const LayerCall& call) {
  const int u = groups.ulysses.size();
  const LocalHeads tp_heads{options.num_heads / groups.tp.size(), options.num_kv_heads / groups.tp.size()};
  const LocalHeads core_heads{tp_heads.query / u, tp_heads.key_value / u};
  const std::int64_t first_head = groups.tp.rank() * tp_heads.query + groups.ulysses.rank() * core_heads.query;
  const Range global_heads{first_head, first_head + core_heads.query};

  at::Tensor qkv = column_parallel_linear(x_BSH, params.qkv_weight, params.qkv_bias, groups.tp, call.sequence.tp_sizes);
  qkv = qkv.view({qkv.size(0), qkv.size(1), tp_heads.total(), options.head_size});
  if (params.query_norm.defined()) qkv = norm_heads(qkv, tp_heads, params, options.qk_norm_epsilon);
  if (u > 1) qkv = sequence_to_heads(regroup_for_ulysses(qkv, tp_heads, u), groups.ulysses, call.sequence.ulysses_sizes);

  // By value: a recomputed core outlives this call.
  const auto core = [=](const at::Tensor& qkv_BLND) {
    return attention_core(qkv_BLND, core_heads, options, call, global_heads);
  };
  at::Tensor context = options.recompute_core ? recomputed(core, qkv) : core(qkv);
  context = heads_to_sequence(context, groups.ulysses, call.sequence.ulysses_sizes);
  context = context.reshape({context.size(0), context.size(1), tp_heads.query * options.head_size});
  return row_parallel_linear(context, params.output_weight, params.output_bias, groups.tp, call.sequence.tp_sizes);
}

}  // namespace galvatron::nn
