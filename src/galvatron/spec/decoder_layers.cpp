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

LayerSpec block_layer(const DecoderConfig& config, std::size_t index) {
  LayerMaker maker(LayerKind::kBlock, "block." + std::to_string(index), config.blocks[index],
                   config.init_stddev);
  maker.makes(hidden_stream(config));
  maker.transformer_block(config.residual_init_stddev);
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
  for (std::size_t i = 0; i < config.blocks.size(); ++i) layers.push_back(block_layer(config, i));
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
  model.padding_token = config.padding_token;
  model.layers = decoder_layers(config);
  return model;
}

}  // namespace galvatron::spec
