// The table of parameters of BERT and its kin.
#include "galvatron/spec/bert_config.h"
#include "galvatron/spec/layer_maker.h"

namespace galvatron::spec {
namespace {

const char* encoder_tied_name(const BertConfig& config) {
  return config.tied_embeddings ? "tokens.weight" : "";
}

StreamSpec encoder_stream(const BertConfig& config) {
  return {StreamSpec::Length::kSequence, 0, config.shape.hidden_size};
}

LayerSpec encoder_embedding(const BertConfig& config) {
  LayerMaker maker(LayerKind::kEmbedding, "embedding", config.shape, config.init_stddev);
  maker.takes(InputKind::kTokens);
  maker.makes(encoder_stream(config));
  maker.vocabulary("tokens.weight", config.vocab_size, encoder_tied_name(config));
  const std::int64_t skipped = config.positions_skip_padding ? config.padding_token + 1 : 0;
  maker.table("positions.weight", skipped + config.max_positions);
  if (config.num_token_types > 0) maker.table("token_types.weight", config.num_token_types);
  maker.norm("norm");
  return maker.take();
}

LayerSpec encoder_block(const BertConfig& config, std::int64_t index) {
  LayerMaker maker(LayerKind::kBlock, "block." + std::to_string(index), config.shape,
                   config.init_stddev);
  maker.makes(encoder_stream(config));
  maker.transformer_block(config.init_stddev);
  return maker.take();
}

LayerSpec encoder_head(const BertConfig& config) {
  TransformerShape shape = config.shape;
  shape.activation = config.head_activation;
  LayerMaker maker(LayerKind::kHead, "head", shape, config.init_stddev);
  maker.takes(InputKind::kLabels);
  maker.vocabulary("output.weight", config.vocab_size, encoder_tied_name(config));
  maker.vocabulary_bias("output.bias", config.vocab_size);
  if (config.has_unread_bias) maker.vocabulary_bias("unread.bias", config.vocab_size);
  maker.whole_linear("transform", config.shape.hidden_size, config.shape.hidden_size, true);
  maker.norm("norm");
  return maker.take();
}

}  // namespace

ModelSpec encoder_model(const BertConfig& config) {
  ModelSpec model;
  model.family = config.family;
  model.task = Task::kMaskedTokens;
  model.vocab_size = config.vocab_size;
  model.max_positions = config.max_positions;
  model.tied_embeddings = config.tied_embeddings;
  model.padding_token = config.padding_token;
  model.positions_skip_padding = config.positions_skip_padding;
  model.num_token_types = config.num_token_types;
  model.layers.push_back(encoder_embedding(config));
  for (std::int64_t i = 0; i < config.num_blocks; ++i)
    model.layers.push_back(encoder_block(config, i));
  model.layers.push_back(encoder_head(config));
  number_types(model.layers);
  return model;
}

}  // namespace galvatron::spec
