#include "galvatron/spec/layer_maker.h"

#include <algorithm>
#include <numeric>

namespace galvatron::spec {

LayerMaker::LayerMaker(LayerKind kind, std::string name, const TransformerShape& shape,
                       double stddev)
    : stddev_(stddev) {
  layer_.kind = kind;
  layer_.name = std::move(name);
  layer_.shape = shape;
}

void LayerMaker::norm(const std::string& name, std::int64_t width) {
  const std::int64_t size = width > 0 ? width : layer_.shape.hidden_size;
  const bool plus_one = layer_.shape.norm == Norm::kRmsNormPlusOne;
  const Init init{plus_one ? InitKind::kZeros : InitKind::kOnes};
  add({name + ".weight", {size}, {}, init, false, {}});
  if (layer_.shape.norm == Norm::kLayerNorm) zero_bias(name, size, {});
}

void LayerMaker::column_linear(const std::string& name, const std::vector<std::int64_t>& segments,
                               std::int64_t unit, bool bias) {
  const std::int64_t outputs = std::accumulate(segments.begin(), segments.end(), std::int64_t{0});
  const TensorSplit split{0, segments, unit};
  add({name + ".weight", {outputs, layer_.shape.hidden_size}, split, normal(), true, {}});
  if (bias) zero_bias(name, outputs, split);
}

void LayerMaker::row_linear(const std::string& name, std::int64_t inputs, std::int64_t unit,
                            bool bias, double stddev) {
  const std::int64_t hidden = layer_.shape.hidden_size;
  const Init init{InitKind::kNormal, stddev};
  add({name + ".weight", {hidden, inputs}, {1, {inputs}, unit}, init, true, {}});
  if (bias) zero_bias(name, hidden, {});
}

void LayerMaker::whole_linear(const std::string& name, std::int64_t outputs, std::int64_t inputs,
                              bool bias) {
  add({name + ".weight", {outputs, inputs}, {}, normal(), true, {}, true});
  if (bias) zero_bias(name, outputs, {});
}

void LayerMaker::vocabulary(const std::string& name, std::int64_t rows,
                            const std::string& tied_name) {
  const TensorSplit split{0, {rows}, 1};
  add({name, {rows, layer_.shape.hidden_size}, split, normal(), true, tied_name});
}

void LayerMaker::vocabulary_bias(const std::string& name, std::int64_t rows) {
  add({name, {rows}, TensorSplit{0, {rows}, 1}, {InitKind::kZeros}, false, {}});
}

void LayerMaker::table(const std::string& name, std::int64_t rows) {
  add({name, {rows, layer_.shape.hidden_size}, {}, normal(), true, {}});
}

void LayerMaker::zero_bias(const std::string& name, std::int64_t size, const TensorSplit& split) {
  add({name + ".bias", {size}, split, {InitKind::kZeros}, false, {}});
}

void LayerMaker::head_norms() {
  const TransformerShape& shape = layer_.shape;
  const Init init{shape.norm == Norm::kRmsNormPlusOne ? InitKind::kZeros : InitKind::kOnes};
  const auto add_norm = [&](const std::string& name, std::int64_t heads) {
    const std::int64_t size = shape.head_size;
    if (shape.head_norm == HeadNorm::kEach) {
      add({name, {size}, {}, init, false, {}});
    } else {
      add({name, {heads * size}, {0, {heads * size}, size}, init, false, {}});
    }
  };
  add_norm("attention.query_norm.weight", shape.num_heads);
  add_norm("attention.key_norm.weight", shape.num_kv_heads);
}

void LayerMaker::attention(double residual_stddev) {
  const TransformerShape shape = layer_.shape;
  const std::int64_t query = shape.num_heads * shape.head_size;
  const std::int64_t key = shape.num_kv_heads * shape.head_size;
  column_linear("attention.qkv", {query, key, key}, shape.head_size, shape.qkv_bias);
  if (shape.head_norm != HeadNorm::kNone) head_norms();
  row_linear("attention.output", query, shape.head_size, shape.attention_output_bias,
             residual_stddev);
}

void LayerMaker::mlp(double residual_stddev) {
  const TransformerShape shape = layer_.shape;
  const std::int64_t inner = shape.intermediate_size;
  if (shape.gated_mlp) {
    column_linear("mlp.gate_up", {inner, inner}, 1, shape.mlp_bias);
  } else {
    column_linear("mlp.up", {inner}, 1, shape.mlp_bias);
  }
  row_linear("mlp.down", inner, 1, shape.mlp_bias, residual_stddev);
}

void LayerMaker::norms_before(const std::string& branch) {
  const NormPlace place = layer_.shape.norm_place;
  if (place == NormPlace::kBefore || place == NormPlace::kAround) norm(branch + "_norm");
}

void LayerMaker::norms_behind(const std::string& branch) {
  const NormPlace place = layer_.shape.norm_place;
  if (place == NormPlace::kBefore) return;
  norm(branch + (place == NormPlace::kAround ? "_post_norm" : "_norm"));
}

void LayerMaker::transformer_block(double residual_stddev) {
  norms_before("attention");
  attention(residual_stddev);
  norms_behind("attention");
  norms_before("mlp");
  mlp(residual_stddev);
  norms_behind("mlp");
}

void number_types(std::vector<LayerSpec>& layers) {
  const auto alike = [](const LayerSpec& a, const LayerSpec& b) {
    return a.kind == b.kind && a.shape == b.shape && a.params == b.params && a.inputs == b.inputs &&
           a.outputs == b.outputs;
  };
  std::vector<const LayerSpec*> types;
  for (LayerSpec& layer : layers) {
    const auto it = std::find_if(types.begin(), types.end(),
                                 [&](const LayerSpec* other) { return alike(layer, *other); });
    layer.type = static_cast<int>(it - types.begin());
    if (it == types.end()) types.push_back(&layer);
  }
}

}  // namespace galvatron::spec
