// DistilBERT as transformers' DistilBertConfig describes it, with the head of
// DistilBertForMaskedLM.
#include "galvatron/spec/bert_config.h"
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/families.h"

namespace galvatron::spec {
namespace {

TransformerShape read_distilbert_shape(JsonReader& reader) {
  TransformerShape shape;
  shape.hidden_size = get_int_either(reader, "dim", "hidden_size", 768, kMaxWidth);
  shape.num_heads = get_int_either(reader, "n_heads", "num_attention_heads", 12, kMaxWidth);
  shape.num_kv_heads = shape.num_heads;
  shape.head_size =
      divided_width(reader.source(), "dim", shape.hidden_size, "n_heads", shape.num_heads);
  shape.intermediate_size = reader.get_int_or("hidden_dim", 3072, 1, 4 * kMaxWidth);
  shape.activation =
      parse_activation(reader.get_string_or("activation", "gelu"), "activation", reader.source());
  shape.norm_epsilon = 1e-12;
  shape.causal = false;
  shape.norm_place = NormPlace::kBehindSum;
  shape.embedding_dropout = reader.get_number_or("dropout", 0.1, 0, 0.999);
  shape.attention_dropout = reader.get_number_or("attention_dropout", 0.1, 0, 0.999);
  shape.residual_dropout = shape.embedding_dropout;
  shape.drops_attention_branch = false;
  return shape;
}

}  // namespace

ModelSpec distilbert_model(const Json& json, const std::string& source) {
  JsonReader reader(json, source, Nulls::kAbsent);
  if (reader.get_bool_or("sinusoidal_pos_embds", false)) {
    refuse_feature(source, "sinusoidal_pos_embds", "true",
                   ": such positions do not learn; only false is");
  }
  BertConfig config;
  config.family = Family::kDistilbert;
  config.vocab_size = reader.get_int_or("vocab_size", 30522, 1, kMaxVocab);
  config.max_positions = reader.get_int_or("max_position_embeddings", 512, 1, kMaxPositions);
  config.num_blocks = get_int_either(reader, "n_layers", "num_hidden_layers", 6, kMaxBlocks);
  config.tied_embeddings = reader.get_bool_or("tie_word_embeddings", true);
  config.init_stddev = reader.get_number_or("initializer_range", 0.02, 0, 100);
  config.padding_token = read_padding_token(json, reader, /*absent=*/0, config.vocab_size);
  config.shape = read_distilbert_shape(reader);
  config.head_activation = config.shape.activation;
  return encoder_model(config);
}

}  // namespace galvatron::spec
