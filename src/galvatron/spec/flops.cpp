#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {
namespace {

double block_flops(const TransformerShape& shape, double seq, double context) {
  const auto hidden = static_cast<double>(shape.hidden_size);
  const auto query = static_cast<double>(shape.num_heads * shape.head_size);
  const auto key = static_cast<double>(shape.num_kv_heads * shape.head_size);
  const auto inner = static_cast<double>(shape.intermediate_size);
  const double projections = hidden * (query + 2 * key) + query * hidden;
  const double mlp = (shape.gated_mlp ? 3 : 2) * hidden * inner;
  // QK^T and PV, a multiply-add each.
  double flops = 2 * seq * (projections + mlp) + 4 * seq * keys_seen(shape, seq) * query;
  if (shape.cross_attention) {
    flops += 2 * hidden * (2 * query * seq + 2 * key * context) + 4 * seq * context * query;
  }
  return flops;
}

// Patch embedding, patch merging, the transform of BERT's head.
double whole_linear_flops(const LayerSpec& layer, double tokens) {
  double flops = 0;
  for (const ParamSpec& param : layer.params) {
    if (param.multiplies_tokens) flops += 2 * tokens * static_cast<double>(param.numel());
  }
  return flops;
}

}  // namespace

double keys_seen(const TransformerShape& shape, double length) {
  if (shape.window.size > 0) return static_cast<double>(shape.window.size * shape.window.size);
  if (!shape.causal) return length;
  const auto window = static_cast<double>(shape.sliding_window);
  if (window == 0 || window >= length) return length / 2;
  return window - window * window / (2 * length);  // the first ones see fewer
}

double forward_flops(const LayerSpec& layer, const ModelSpec& model, std::int64_t seq_length) {
  const auto length = [&](std::size_t stream) {
    return stream < layer.outputs.size()
               ? static_cast<double>(layer.outputs[stream].length(seq_length))
               : 0.0;
  };
  switch (layer.kind) {
    case LayerKind::kEmbedding:
    case LayerKind::kMerge:
      return whole_linear_flops(layer, length(0));
    case LayerKind::kBlock:
      return block_flops(layer.shape, length(0), length(1));
    case LayerKind::kHead: {
      const StreamSpec& in = model.inputs_of(model.num_layers() - 1)[0];
      const bool one_each = model.task == Task::kImageClasses;  // of a sample
      const double rows = one_each ? 1 : static_cast<double>(in.length(seq_length));
      return whole_linear_flops(layer, rows) + 2 * rows *
                                                   static_cast<double>(layer.shape.hidden_size) *
                                                   static_cast<double>(layer.vocab_size());
    }
  }
  return 0;
}

double forward_flops(const ModelSpec& model, std::int64_t seq_length) {
  double total = 0;
  for (const LayerSpec& layer : model.layers) total += forward_flops(layer, model, seq_length);
  return total;
}

}  // namespace galvatron::spec
