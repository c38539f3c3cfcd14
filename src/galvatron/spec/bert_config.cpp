// BERT as transformers' BertConfig describes it, with the head of BertForMaskedLM.
#include "galvatron/spec/bert_config.h"

#include "galvatron/spec/config_features.h"
#include "galvatron/spec/families.h"
#include "galvatron/spec/layer_maker.h"

namespace galvatron::spec {
namespace {

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
  shape.num_kv_heads = shape.num_heads;
  shape.head_size = divided_width(source, "hidden_size", shape.hidden_size, "num_attention_heads",
                                  shape.num_heads);
  shape.intermediate_size = reader.get_int_or("intermediate_size", 3072, 1, 4 * kMaxWidth);
  shape.activation =
      parse_activation(reader.get_string_or("hidden_act", "gelu"), "hidden_act", source);
  shape.norm_epsilon = reader.get_number_or("layer_norm_eps", 1e-12, 0, 1);
  shape.causal = false;
  shape.norm_place = NormPlace::kBehindSum;
  shape.embedding_dropout = reader.get_number_or("hidden_dropout_prob", 0.1, 0, 0.999);
  shape.attention_dropout = reader.get_number_or("attention_probs_dropout_prob", 0.1, 0, 0.999);
  shape.residual_dropout = shape.embedding_dropout;
  return shape;
}

}  // namespace

BertConfig read_bert_config(const Json& json, const std::string& source) {
  JsonReader reader(json, source, Nulls::kAbsent);
  refuse_bert_features(reader, source);
  BertConfig config;
  config.vocab_size = reader.get_int_or("vocab_size", 30522, 1, kMaxVocab);
  config.max_positions = reader.get_int_or("max_position_embeddings", 512, 1, kMaxPositions);
  config.num_token_types = reader.get_int_or("type_vocab_size", 2, 1, kMaxVocab);
  config.num_blocks = reader.get_int_or("num_hidden_layers", 12, 1, kMaxBlocks);
  config.tied_embeddings = reader.get_bool_or("tie_word_embeddings", true);
  config.init_stddev = reader.get_number_or("initializer_range", 0.02, 0, 100);
  config.shape = read_bert_shape(reader, source);
  config.head_activation = config.shape.activation;
  config.has_unread_bias = !config.tied_embeddings;
  config.padding_token = read_padding_token(json, reader, /*absent=*/0, config.vocab_size);
  return config;
}

ModelSpec bert_model(const Json& json, const std::string& source) {
  return encoder_model(read_bert_config(json, source));
}

}  // namespace galvatron::spec
