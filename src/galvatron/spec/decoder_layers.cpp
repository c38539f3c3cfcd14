// The one table of parameters of the decoder-only families.
#include <algorithm>

#include "galvatron/spec/decoder_config.h"

namespace galvatron::spec {
namespace {

using Sizes = std::vector<std::int64_t>;

// A layer being filled with parameters. Linear weights are [out, in].
class LayerMaker {
 public:
  LayerMaker(LayerKind kind, std::string name, const DecoderConfig& config) : config_(config) {
    layer_.kind = kind;
    layer_.name = std::move(name);
    layer_.shape = config.shape;
  }

  void norm(const std::string& name) {
    const std::int64_t hidden = config_.shape.hidden_size;
    add({name + ".weight", {hidden}, {}, {InitKind::kOnes}, false, {}});
    if (config_.shape.norm == Norm::kLayerNorm) zero_bias(name, hidden, {});
  }

  // Tensor parallelism divides the outputs, segment by segment.
  void column_linear(const std::string& name, const Sizes& segments, std::int64_t unit, bool bias) {
    std::int64_t outputs = 0;
    for (const std::int64_t segment : segments) outputs += segment;
    const TensorSplit split{0, segments, unit};
    add({name + ".weight",
         {outputs, config_.shape.hidden_size},
         split,
         normal(config_.init_stddev),
         true,
         {}});
    if (bias) zero_bias(name, outputs, split);
  }

  // Tensor parallelism divides the inputs; the bias is added once, after the sum.
  void row_linear(const std::string& name, std::int64_t inputs, std::int64_t unit, bool bias) {
    const std::int64_t hidden = config_.shape.hidden_size;
    add({name + ".weight",
         {hidden, inputs},
         {1, {inputs}, unit},
         normal(config_.residual_init_stddev),
         true,
         {}});
    if (bias) zero_bias(name, hidden, {});
  }

  // Rows of the vocabulary, divided; one parameter in embedding and head when tied.
  void vocabulary(const std::string& name) {
    const std::int64_t vocab = config_.vocab_size;
    add({name,
         {vocab, config_.shape.hidden_size},
         {0, {vocab}, 1},
         normal(config_.init_stddev),
         true,
         config_.tied_embeddings ? "tokens.weight" : ""});
  }

  void positions(const std::string& name) {
    add({name,
         {config_.max_positions, config_.shape.hidden_size},
         {},
         normal(config_.init_stddev),
         true,
         {}});
  }

  LayerSpec take() { return std::move(layer_); }

 private:
  static Init normal(double stddev) { return {InitKind::kNormal, stddev}; }
  void add(ParamSpec param) { layer_.params.push_back(std::move(param)); }
  void zero_bias(const std::string& name, std::int64_t size, const TensorSplit& split) {
    add({name + ".bias", {size}, split, {InitKind::kZeros}, false, {}});
  }

  const DecoderConfig& config_;
  LayerSpec layer_;
};

LayerSpec embedding_layer(const DecoderConfig& config) {
  LayerMaker maker(LayerKind::kEmbedding, "embedding", config);
  maker.vocabulary("tokens.weight");
  if (config.shape.learned_positions) maker.positions("positions.weight");
  return maker.take();
}

LayerSpec block_layer(const DecoderConfig& config, std::int64_t index) {
  const TransformerShape& shape = config.shape;
  const std::int64_t query = shape.num_heads * shape.head_size;
  const std::int64_t key = shape.num_kv_heads * shape.head_size;
  const std::int64_t inner = shape.intermediate_size;
  LayerMaker maker(LayerKind::kBlock, "block." + std::to_string(index), config);
  maker.norm("attention_norm");
  maker.column_linear("attention.qkv", {query, key, key}, shape.head_size, shape.qkv_bias);
  maker.row_linear("attention.output", query, shape.head_size, shape.attention_output_bias);
  maker.norm("mlp_norm");
  if (shape.gated_mlp) {
    maker.column_linear("mlp.gate_up", {inner, inner}, 1, shape.mlp_bias);
  } else {
    maker.column_linear("mlp.up", {inner}, 1, shape.mlp_bias);
  }
  maker.row_linear("mlp.down", inner, 1, shape.mlp_bias);
  return maker.take();
}

LayerSpec head_layer(const DecoderConfig& config) {
  LayerMaker maker(LayerKind::kHead, "head", config);
  maker.norm("norm");
  maker.vocabulary("output.weight");
  return maker.take();
}

bool same_type(const LayerSpec& a, const LayerSpec& b) {
  return a.kind == b.kind && a.shape == b.shape && a.params == b.params;
}

void number_types(std::vector<LayerSpec>& layers) {
  std::vector<const LayerSpec*> types;
  for (LayerSpec& layer : layers) {
    const auto it = std::find_if(types.begin(), types.end(),
                                 [&](const LayerSpec* other) { return same_type(layer, *other); });
    layer.type = static_cast<int>(it - types.begin());
    if (it == types.end()) types.push_back(&layer);
  }
}

}  // namespace

std::vector<LayerSpec> decoder_layers(const DecoderConfig& config) {
  std::vector<LayerSpec> layers = {embedding_layer(config)};
  for (std::int64_t i = 0; i < config.num_blocks; ++i) layers.push_back(block_layer(config, i));
  layers.push_back(head_layer(config));
  number_types(layers);
  return layers;
}

}  // namespace galvatron::spec
