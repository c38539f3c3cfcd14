#include "galvatron/nn/cross_attention.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/attention_core.h"
#include "galvatron/nn/collectives.h"
#include "galvatron/nn/recompute.h"

namespace galvatron::nn {
namespace {

// This rank's tokens of `split` times its heads -> whole sequences of the heads that it attends
// with.
at::Tensor project(const at::Tensor& x, const at::Tensor& weight,
                   const std::vector<std::int64_t>& segments, const CrossAttentionOptions& options,
                   const LayerGroups& groups, const SequenceSplit& split) {
  const at::Tensor rows =
      column_parallel_linear(x, weight, {}, groups.tp, split.tp_sizes, options.linears);
  const at::Tensor heads =
      rows.view({rows.size(0), rows.size(1), rows.size(2) / options.head_size, options.head_size});
  return fused_to_heads(heads, segments, groups.ulysses, split.ulysses_sizes);
}

}  // namespace

at::Tensor cross_attention(const at::Tensor& x_BSH, const at::Tensor& context_BCH,
                           const CrossAttentionParams& params, const CrossAttentionOptions& options,
                           const LayerGroups& groups, const LayerCall& call) {
  const std::int64_t tp_heads = options.num_heads / groups.tp.size(),
                     heads = tp_heads / groups.ulysses.size();
  const std::int64_t first = groups.tp.rank() * tp_heads + groups.ulysses.rank() * heads;
  const AttentionCore settings{.scale = options.scale,
                               .dropout = options.dropout,
                               .num_heads = options.num_heads,
                               .heads = {first, first + heads}};
  const std::vector<at::Tensor> inputs{
      project(x_BSH, params.query_weight, {tp_heads}, options, groups, call.sequence),
      project(context_BCH, params.key_value_weight, {tp_heads, tp_heads}, options, groups,
              call.context)};
  // By value: a recomputed core outlives this call.
  const auto core = [=](const std::vector<at::Tensor>& in) {
    const at::Tensor q = in[0].transpose(1, 2), kv = in[1].transpose(1, 2);
    return attend(q, kv.narrow(1, 0, heads), kv.narrow(1, heads, heads), {}, settings, call,
                  {call.documents.of_sequence, call.documents.of_context})
        .transpose(1, 2);
  };
  at::Tensor y = options.recompute_core ? recomputed(core, inputs) : core(inputs);
  y = heads_to_sequence(y, groups.ulysses, call.sequence.ulysses_sizes);
  y = y.reshape({y.size(0), y.size(1), tp_heads * options.head_size});
  return row_parallel_linear(y, params.output_weight, {}, groups.tp, call.sequence.tp_sizes,
                             options.linears);
}

}  // namespace galvatron::nn
