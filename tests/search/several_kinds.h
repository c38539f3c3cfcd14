// Hand-made models of several block kinds.
#pragma once
#include <string>

#include "galvatron/spec/layer_maker.h"

namespace galvatron::search {

inline spec::TransformerShape block_shape(std::int64_t hidden) {
  spec::TransformerShape shape;
  shape.hidden_size = hidden;
  shape.num_heads = shape.num_kv_heads = 4;
  shape.head_size = hidden / 4;
  shape.intermediate_size = 4 * hidden;
  return shape;
}

inline spec::StreamSpec stream(std::int64_t width, std::int64_t fixed_length = 0) {
  using Length = spec::StreamSpec::Length;
  return {fixed_length > 0 ? Length::kFixed : Length::kSequence, fixed_length, width};
}

inline spec::LayerSpec plain_block(const std::string& name, std::int64_t hidden,
                                   std::vector<spec::StreamSpec> outputs) {
  spec::LayerMaker maker(spec::LayerKind::kBlock, name, block_shape(hidden), 0.02);
  for (const spec::StreamSpec& one : outputs) maker.makes(one);
  maker.norm("attention_norm");
  maker.column_linear("attention.qkv", {hidden, hidden, hidden}, hidden / 4, true);
  maker.row_linear("attention.output", hidden, hidden / 4, true, 0.02);
  maker.norm("mlp_norm");
  maker.column_linear("mlp.up", {4 * hidden}, 1, true);
  maker.row_linear("mlp.down", 4 * hidden, 1, true, 0.02);
  return maker.take();
}

inline spec::LayerSpec vocabulary_layer(spec::LayerKind kind, const std::string& name,
                                        std::int64_t hidden, std::vector<spec::StreamSpec> outputs,
                                        const std::string& tied_name) {
  spec::LayerMaker maker(kind, name, block_shape(hidden), 0.02);
  maker.takes(kind == spec::LayerKind::kHead ? spec::InputKind::kLabels : spec::InputKind::kTokens);
  for (const spec::StreamSpec& one : outputs) maker.makes(one);
  if (kind == spec::LayerKind::kHead) maker.norm("norm");
  maker.vocabulary("tokens.weight", 512, tied_name);
  return maker.take();
}

inline spec::ModelSpec finish(std::string name, std::vector<spec::LayerSpec> layers, bool tied) {
  spec::ModelSpec model;
  model.name = std::move(name);
  model.vocab_size = 512;
  model.max_positions = 4096;
  model.tied_embeddings = tied;
  model.layers = std::move(layers);
  spec::number_types(model.layers);
  return model;
}

// Blocks that get wider and sequences that get shorter on the way, as in a hierarchical model.
inline spec::ModelSpec hierarchical_model(int blocks_per_width) {
  std::vector<spec::LayerSpec> layers = {
      vocabulary_layer(spec::LayerKind::kEmbedding, "embedding", 64, {stream(64, 256)}, "")};
  for (const std::int64_t width : {64, 128, 256}) {
    for (int i = 0; i < blocks_per_width; ++i) {
      layers.push_back(plain_block("block." + std::to_string(layers.size()), width,
                                   {stream(width, 256 * 64 / width)}));
    }
  }
  layers.push_back(vocabulary_layer(spec::LayerKind::kHead, "head", 256, {}, ""));
  return finish("hierarchical", std::move(layers), false);
}

// An encoder, then a decoder that carries the encoder's output beside its own sequence; one weight
// for both embeddings and the head.
inline spec::ModelSpec encoder_decoder_model(int blocks) {
  const spec::StreamSpec memory = stream(64, 256), target = stream(64, 64);
  std::vector<spec::LayerSpec> layers = {
      vocabulary_layer(spec::LayerKind::kEmbedding, "embedding", 64, {memory}, "shared")};
  for (int i = 0; i < blocks; ++i) {
    layers.push_back(plain_block("encoder." + std::to_string(i), 64, {memory}));
  }
  layers.push_back(vocabulary_layer(spec::LayerKind::kEmbedding, "target_embedding", 64,
                                    {target, memory}, "shared"));
  for (int i = 0; i < blocks; ++i) {
    layers.push_back(plain_block("decoder." + std::to_string(i), 64, {target, memory}));
  }
  layers.push_back(vocabulary_layer(spec::LayerKind::kHead, "head", 64, {}, "shared"));
  return finish("encoder-decoder", std::move(layers), true);
}

}  // namespace galvatron::search
