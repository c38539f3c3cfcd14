#include "galvatron/nn/attention.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/attention_core.h"
#include "galvatron/nn/collectives.h"
#include "galvatron/nn/norm.h"
#include "galvatron/nn/recompute.h"
#include "galvatron/nn/relative_bias.h"

namespace galvatron::nn {
namespace {

// Heads of one rank inside the attention core: n query heads, k key and value heads.
struct LocalHeads {
  std::int64_t query = 0;
  std::int64_t key_value = 0;
  std::int64_t total() const { return query + 2 * key_value; }
};

// One head is whole on a rank, so its norm needs no other; all heads of a token lie on the ranks of
// the tensor-parallel group.
at::Tensor norm_part(const at::Tensor& x_BTND, const at::Tensor& weight,
                     const AttentionOptions& options, const comm::Group& tp) {
  if (options.head_norm == HeadNorm::kEach)
    return rms_norm(x_BTND, weight, options.head_norm_epsilon, options.head_norm_offset);
  return divided_rms_norm(x_BTND.flatten(2, 3), weight, options.head_norm_epsilon, tp)
      .view(x_BTND.sizes());
}

at::Tensor norm_heads(const at::Tensor& qkv_BTND, const LocalHeads& heads,
                      const AttentionParams& params, const AttentionOptions& options,
                      const comm::Group& tp) {
  const at::Tensor q =
      norm_part(qkv_BTND.narrow(2, 0, heads.query), params.query_norm, options, tp);
  const at::Tensor k =
      norm_part(qkv_BTND.narrow(2, heads.query, heads.key_value), params.key_norm, options, tp);
  return at::cat({q, k, qkv_BTND.narrow(2, heads.query + heads.key_value, heads.key_value)}, 2);
}

// What a token of zeros becomes, as the core's heads of this rank see it: windows are padded before
// the projection.
at::Tensor window_padding(const at::Tensor& qkv_bias, const LocalHeads& region,
                          const LocalHeads& core, int ulysses_rank, std::int64_t head_size) {
  if (!qkv_bias.defined()) return {};
  const at::Tensor bias = qkv_bias.view({1, 1, region.total(), head_size});
  const auto part = [&](std::int64_t begin, std::int64_t count) {
    return bias.narrow(2, begin + ulysses_rank * count, count);
  };
  return at::cat({part(0, core.query), part(region.query, core.key_value),
                  part(region.query + region.key_value, core.key_value)},
                 2);
}

// qkv [B, L, n + 2k, D] of this rank's heads over the whole sequence, or over windows of it ->
// context [B, L, n, D]. bias_table may be undefined.
at::Tensor attention_core(const at::Tensor& qkv_BLND, const at::Tensor& bias_table,
                          const LocalHeads& heads, const AttentionOptions& options,
                          const LayerCall& call, Range global_heads) {
  // Splits, because their backward is one copy of all parts.
  std::vector<at::Tensor> parts;
  if (options.rotary.inverse_frequencies.empty()) {
    parts = qkv_BLND.split_with_sizes({heads.query, heads.key_value, heads.key_value}, 2);
  } else {
    const auto turning =
        qkv_BLND.split_with_sizes({heads.query + heads.key_value, heads.key_value}, 2);
    parts = rotated(turning[0], options.rotary, call)
                .split_with_sizes({heads.query, heads.key_value}, 2);
    parts.push_back(turning[1]);
  }
  const at::Tensor q = parts[0], k = parts[1], v = parts[2].transpose(1, 2);
  const AttentionCore core{options.scale,   options.causal,  options.sliding_window,
                           options.softcap, options.dropout, options.num_heads,
                           global_heads};
  at::Tensor bias;
  if (options.window.active()) {
    bias =
        window_bias(bias_table, qkv_BLND.size(0) / options.window.windows(), options.window, call);
  } else if (bias_table.defined()) {
    bias = relative_bias(bias_table, options.relative_bias, global_heads, qkv_BLND.size(1), call);
  }
  return attend(q.transpose(1, 2), k.transpose(1, 2), v, bias, core, call,
                {call.documents.of_sequence, call.documents.of_sequence})
      .transpose(1, 2);
}

}  // namespace

at::Tensor self_attention(const at::Tensor& x_BSH, const AttentionParams& params,
                          const AttentionOptions& options, const LayerGroups& groups,
                          const LayerCall& call) {
  const int u = groups.ulysses.size();
  const LocalHeads tp_heads{options.num_heads / groups.tp.size(),
                            options.num_kv_heads / groups.tp.size()};
  const LocalHeads core_heads{tp_heads.query / u, tp_heads.key_value / u};
  const std::int64_t first_head =
      groups.tp.rank() * tp_heads.query + groups.ulysses.rank() * core_heads.query;
  const Range global_heads{first_head, first_head + core_heads.query};

  at::Tensor qkv = column_parallel_linear(x_BSH, params.qkv_weight, params.qkv_bias, groups.tp,
                                          call.sequence.tp_sizes, options.linears);
  qkv = qkv.view({qkv.size(0), qkv.size(1), tp_heads.total(), options.head_size});
  if (options.head_norm != HeadNorm::kNone)
    qkv = norm_heads(qkv, tp_heads, params, options, groups.tp);
  const std::vector<std::int64_t> segments{tp_heads.query, tp_heads.key_value, tp_heads.key_value};
  qkv = fused_to_heads(qkv, segments, groups.ulysses, call.sequence.ulysses_sizes);

  const std::int64_t batch = qkv.size(0);
  if (options.window.active()) {
    qkv = to_windows(qkv,
                     window_padding(params.qkv_bias, tp_heads, core_heads, groups.ulysses.rank(),
                                    options.head_size),
                     options.window);
  }
  std::vector<at::Tensor> inputs{qkv};
  if (params.relative_bias.defined()) inputs.push_back(params.relative_bias);
  if (params.window_bias.defined()) {
    inputs.push_back(
        params.window_bias.narrow(1, groups.ulysses.rank() * core_heads.query, core_heads.query));
  }
  // By value: a recomputed core outlives this call.
  const auto core = [=](const std::vector<at::Tensor>& in) {
    return attention_core(in[0], in.size() > 1 ? in[1] : at::Tensor(), core_heads, options, call,
                          global_heads);
  };
  at::Tensor context = options.recompute_core ? recomputed(core, inputs) : core(inputs);
  if (options.window.active()) context = from_windows(context, batch, options.window);
  context = heads_to_sequence(context, groups.ulysses, call.sequence.ulysses_sizes);
  context = context.reshape({context.size(0), context.size(1), tp_heads.query * options.head_size});
  return row_parallel_linear(context, params.output_weight, params.output_bias, groups.tp,
                             call.sequence.tp_sizes, options.linears);
}

}  // namespace galvatron::nn
