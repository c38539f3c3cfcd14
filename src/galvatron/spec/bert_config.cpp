// BERT as transformers' BertConfig describes it, with the head of BertForMaskedLM.
#include "galvatron/base/error.h"
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/families.h"
#include "galvatron/spec/layer_maker.h"

namespace galvatron::spec {
namespace {

struct BertConfig {
  std::int64_t vocab_size = 0;
  std::int64_t max_positions = 0;
  std::int64_t num_token_types = 0;
  std::int64_t num_blocks = 0;
  bool tied_embeddings = false;
  TransformerShape shape;
  double init_stddev = 0;
};

void refuse_bert_features(JsonReader& reader, const std::string& source) {
  for (const char* key : {"is_decoder", "add_cross_attention"}) {
    if (reader.get_bool_or(key, false)) {
      refuse_feature(source, key, "true", "; only false is, for masked-token training");
    }
  }
  const std::string positions = reader.get_string_or("position_embedding_type", "absolute");
  if (positions != "absolute") {
    refuse_feature(source, "position_embedding_type", "'" + positions + "'",
                   "; only 'absolute' is");
  }
}

TransformerShape read_bert_shape(JsonReader& reader, const std::string& source) {
  TransformerShape shape;
  shape.hidden_size = reader.get_int_or("hidden_size", 768, 1, kMaxWidth);
  shape.num_heads = reader.get_int_or("num_attention_heads", 12, 1, kMaxWidth);
  if (shape.hidden_size % shape.num_heads != 0) {
    throw ConfigError("[model] ", source, ": hidden_size ", shape.hidden_size,
                      " is not a multiple of num_attention_heads ", shape.num_heads);
  }
  shape.num_kv_heads = shape.num_heads;
  shape.head_size = shape.hidden_size / shape.num_heads;
  shape.intermediate_size = reader.get_int_or("intermediate_size", 3072, 1, 4 * kMaxWidth);
  shape.activation =
      parse_activation(reader.get_string_or("hidden_act", "gelu"), "hidden_act", source);
  shape.norm_epsilon = reader.get_number_or("layer_norm_eps", 1e-12, 0, 1);
  shape.causal = false;
  shape.post_norm = true;
  shape.embedding_dropout = reader.get_number_or("hidden_dropout_prob", 0.1, 0, 0.999);
  shape.attention_dropout = reader.get_number_or("attention_probs_dropout_prob", 0.1, 0, 0.999);
  shape.residual_dropout = shape.embedding_dropout;
  return shape;
}

BertConfig read_bert_settings(JsonReader& reader, const std::string& source) {
  refuse_bert_features(reader, source);
  BertConfig config;
  config.vocab_size = reader.get_int_or("vocab_size", 30522, 1, kMaxVocab);
  config.max_positions = reader.get_int_or("max_position_embeddings", 512, 1, kMaxPositions);
  config.num_token_types = reader.get_int_or("type_vocab_size", 2, 1, kMaxVocab);
  config.num_blocks = reader.get_int_or("num_hidden_layers", 12, 1, kMaxBlocks);
  config.tied_embeddings = reader.get_bool_or("tie_word_embeddings", true);
  config.init_stddev = reader.get_number_or("initializer_range", 0.02, 0, 100);
  config.shape = read_bert_shape(reader, source);
  return config;
}

const char* tied_name(const BertConfig& config) {
  return config.tied_embeddings ? "tokens.weight" : "";
}

StreamSpec hidden_stream(const BertConfig& config) {
  return {StreamSpec::Length::kSequence, 0, config.shape.hidden_size};
}

LayerSpec embedding_layer(const BertConfig& config) {
  LayerMaker maker(LayerKind::kEmbedding, "embedding", config.shape, config.init_stddev);
  maker.takes(InputKind::kTokens);
  maker.makes(hidden_stream(config));
  maker.vocabulary("tokens.weight", config.vocab_size, tied_name(config));
  maker.table("positions.weight", config.max_positions);
  maker.table("token_types.weight", config.num_token_types);
  maker.norm("norm");
  return maker.take();
}

LayerSpec block_layer(const BertConfig& config, std::int64_t index) {
  const TransformerShape& shape = config.shape;
  const std::int64_t hidden = shape.hidden_size, inner = shape.intermediate_size;
  LayerMaker maker(LayerKind::kBlock, "block." + std::to_string(index), shape, config.init_stddev);
  maker.makes(hidden_stream(config));
  maker.column_linear("attention.qkv", {hidden, hidden, hidden}, shape.head_size, true);
  maker.row_linear("attention.output", hidden, shape.head_size, true, config.init_stddev);
  maker.norm("attention_norm");
  maker.column_linear("mlp.up", {inner}, 1, true);
  maker.row_linear("mlp.down", inner, 1, true, config.init_stddev);
  maker.norm("mlp_norm");
  return maker.take();
}

LayerSpec head_layer(const BertConfig& config) {
  LayerMaker maker(LayerKind::kHead, "head", config.shape, config.init_stddev);
  maker.takes(InputKind::kLabels);
  maker.vocabulary("output.weight", config.vocab_size, tied_name(config));
  maker.vocabulary_bias("output.bias", config.vocab_size);
  // transformers keeps a bias that nothing reads beside an untied output: carried, so that a
  // checkpoint comes back whole.
  if (!config.tied_embeddings) maker.vocabulary_bias("unread.bias", config.vocab_size);
  maker.whole_linear("transform", config.shape.hidden_size, config.shape.hidden_size, true);
  maker.norm("norm");
  return maker.take();
}

}  // namespace

ModelSpec bert_model(const Json& json, const std::string& source) {
  JsonReader reader(json, source, Nulls::kAbsent);
  const BertConfig config = read_bert_settings(reader, source);
  ModelSpec model;
  model.family = Family::kBert;
  model.task = Task::kMaskedTokens;
  model.vocab_size = config.vocab_size;
  model.max_positions = config.max_positions;
  model.tied_embeddings = config.tied_embeddings;
  model.padding_token = read_padding_token(json, reader, /*absent=*/0, config.vocab_size);
  model.layers.push_back(embedding_layer(config));
  for (std::int64_t i = 0; i < config.num_blocks; ++i)
    model.layers.push_back(block_layer(config, i));
  model.layers.push_back(head_layer(config));
  number_types(model.layers);
  return model;
}

}  // namespace galvatron::spec
