#include "galvatron/nn/embedding.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/collectives.h"

namespace galvatron::nn {

at::Tensor vocab_parallel_embedding(const at::Tensor& tokens_BT, const at::Tensor& weight,
                                    std::int64_t first_row, const LayerGroups& groups,
                                    const LayerCall& call, std::int64_t padding_token) {
  if (groups.tp.size() == 1) return at::embedding(weight, tokens_BT, padding_token);
  const at::Tensor local = tokens_BT - first_row;
  const at::Tensor elsewhere = local.lt(0).logical_or_(local.ge(weight.size(0)));
  const std::int64_t padding_row = padding_token - first_row;
  const bool pads = padding_token >= 0 && padding_row >= 0 && padding_row < weight.size(0);
  const at::Tensor rows =
      at::embedding(weight, local.masked_fill(elsewhere, 0), pads ? padding_row : -1);
  return reduce_scatter_sequence(rows.masked_fill(elsewhere.unsqueeze(-1), 0), groups.tp,
                                 call.sequence.tp_sizes);
}

}  // namespace galvatron::nn
