// The one table of parameters of the decoder-only families.
#include "galvatron/spec/decoder_config.h"
#include "galvatron/spec/layer_maker.h"

namespace galvatron::spec {
namespace {

StreamSpec hidden_stream(const DecoderConfig& config) {
  return {StreamSpec::Length::kSequence, 0, config.shape.hidden_size};
}

const char* tied_name(const DecoderConfig& config) {
  return config.tied_embeddings ? "tokens.weight" : "";
}

LayerSpec embedding_layer(const DecoderConfig& config) {
  LayerMaker maker(LayerKind::kEmbedding, "embedding", config.shape, config.init_stddev);
  maker.takes(InputKind::kTokens);
  maker.makes(hidden_stream(config));
  maker.vocabulary("tokens.weight", config.vocab_size, tied_name(config));
  if (config.shape.learned_positions) maker.table("positions.weight", config.max_positions);
  return maker.take();
}

void head_norm(LayerMaker& maker, const std::string& name, std::int64_t head_size) {
  maker.add({name + ".weight", {head_size}, {}, {InitKind::kOnes}, false, {}});
}

LayerSpec block_layer(const DecoderConfig& config, std::int64_t index) {
  const TransformerShape& shape = config.shape;
  const std::int64_t query = shape.num_heads * shape.head_size;
  const std::int64_t key = shape.num_kv_heads * shape.head_size;
  const std::int64_t inner = shape.intermediate_size;
  LayerMaker maker(LayerKind::kBlock, "block." + std::to_string(index), shape, config.init_stddev);
  maker.makes(hidden_stream(config));
  maker.norm("attention_norm");
  maker.column_linear("attention.qkv", {query, key, key}, shape.head_size, shape.qkv_bias);
  if (shape.qk_norm) {
    head_norm(maker, "attention.query_norm", shape.head_size);
    head_norm(maker, "attention.key_norm", shape.head_size);
  }
  maker.row_linear("attention.output", query, shape.head_size, shape.attention_output_bias,
                   config.residual_init_stddev);
  maker.norm("mlp_norm");
  if (shape.gated_mlp) {
    maker.column_linear("mlp.gate_up", {inner, inner}, 1, shape.mlp_bias);
  } else {
    maker.column_linear("mlp.up", {inner}, 1, shape.mlp_bias);
  }
  maker.row_linear("mlp.down", inner, 1, shape.mlp_bias, config.residual_init_stddev);
  return maker.take();
}

LayerSpec head_layer(const DecoderConfig& config) {
  LayerMaker maker(LayerKind::kHead, "head", config.shape, config.init_stddev);
  maker.takes(InputKind::kLabels);
  maker.norm("norm");
  maker.vocabulary("output.weight", config.vocab_size, tied_name(config));
  return maker.take();
}

}  // namespace

std::vector<LayerSpec> decoder_layers(const DecoderConfig& config) {
  std::vector<LayerSpec> layers = {embedding_layer(config)};
  for (std::int64_t i = 0; i < config.num_blocks; ++i) layers.push_back(block_layer(config, i));
  layers.push_back(head_layer(config));
  number_types(layers);
  return layers;
}

ModelSpec decoder_model(const DecoderConfig& config) {
  ModelSpec model;
  model.family = config.family;
  model.vocab_size = config.vocab_size;
  model.max_positions = config.max_positions;
  model.tied_embeddings = config.tied_embeddings;
  model.layers = decoder_layers(config);
  return model;
}

}  // namespace galvatron::spec
