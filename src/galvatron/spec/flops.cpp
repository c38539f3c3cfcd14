#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {
namespace {

double block_flops(const TransformerShape& shape, double seq) {
  const auto hidden = static_cast<double>(shape.hidden_size);
  const auto query = static_cast<double>(shape.num_heads * shape.head_size);
  const auto key = static_cast<double>(shape.num_kv_heads * shape.head_size);
  const auto inner = static_cast<double>(shape.intermediate_size);
  const double projections = hidden * (query + 2 * key) + query * hidden;
  const double mlp = (shape.gated_mlp ? 3 : 2) * hidden * inner;
  // QK^T and PV, a multiply-add each, over the causal half of the seq x seq scores.
  const double attention = 2 * seq * seq * query;
  return 2 * seq * (projections + mlp) + attention;
}

}  // namespace

double forward_flops(const LayerSpec& layer, const ModelSpec& model, std::int64_t seq_length) {
  const auto seq = static_cast<double>(seq_length);
  switch (layer.kind) {
    case LayerKind::kEmbedding:
      return 0;
    case LayerKind::kBlock:
      return block_flops(layer.shape, seq);
    case LayerKind::kHead:
      return 2 * seq * static_cast<double>(layer.shape.hidden_size) *
             static_cast<double>(model.vocab_size);
  }
  return 0;
}

double forward_flops(const ModelSpec& model, std::int64_t seq_length) {
  double total = 0;
  for (const LayerSpec& layer : model.layers) total += forward_flops(layer, model, seq_length);
  return total;
}

}  // namespace galvatron::spec
