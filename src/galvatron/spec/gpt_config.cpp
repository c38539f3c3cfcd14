// GPT-2 as transformers' GPT2Config describes it.
#include <cmath>

#include "galvatron/spec/config_features.h"
#include "galvatron/spec/decoder_config.h"
#include "galvatron/spec/families.h"

namespace galvatron::spec {
namespace {

void refuse_gpt_features(JsonReader& reader, const std::string& source) {
  for (const char* key : {"scale_attn_by_inverse_layer_idx", "add_cross_attention"}) {
    if (reader.get_bool_or(key, false)) {
      refuse_feature(source, key, "true", "; only false is");
    }
  }
}

}  // namespace

DecoderConfig read_gpt_config(const Json& json, const std::string& source) {
  JsonReader reader(json, source, Nulls::kAbsent);
  refuse_gpt_features(reader, source);
  DecoderConfig config;
  config.family = Family::kGpt;
  config.vocab_size = reader.get_int_or("vocab_size", 50257, 1, kMaxVocab);
  config.max_positions =
      get_int_either(reader, "n_positions", "max_position_embeddings", 1024, kMaxPositions);
  const std::int64_t num_blocks =
      get_int_either(reader, "n_layer", "num_hidden_layers", 12, kMaxBlocks);
  config.tied_embeddings = reader.get_bool_or("tie_word_embeddings", true);
  config.init_stddev = reader.get_number_or("initializer_range", 0.02, 0, 100);
  config.residual_init_stddev =
      config.init_stddev / std::sqrt(2.0 * static_cast<double>(num_blocks));

  TransformerShape& shape = config.shape;
  shape.hidden_size = get_int_either(reader, "n_embd", "hidden_size", 768, kMaxWidth);
  shape.num_heads = get_int_either(reader, "n_head", "num_attention_heads", 12, kMaxWidth);
  shape.num_kv_heads = shape.num_heads;
  shape.head_size = divided_width(source, "n_embd", shape.hidden_size, "n_head", shape.num_heads);
  shape.intermediate_size = reader.get_int_or("n_inner", 4 * shape.hidden_size, 1, 4 * kMaxWidth);
  shape.activation = parse_activation(reader.get_string_or("activation_function", "gelu_new"),
                                      "activation_function", source);
  shape.norm_epsilon = reader.get_number_or("layer_norm_epsilon", 1e-5, 0, 1);
  shape.attention_scale = reader.get_bool_or("scale_attn_weights", true) ? 0 : 1;
  shape.embedding_dropout = reader.get_number_or("embd_pdrop", 0.1, 0, 0.999);
  shape.attention_dropout = reader.get_number_or("attn_pdrop", 0.1, 0, 0.999);
  shape.residual_dropout = reader.get_number_or("resid_pdrop", 0.1, 0, 0.999);
  config.blocks.assign(static_cast<std::size_t>(num_blocks), shape);
  return config;
}

ModelSpec gpt_model(const Json& config, const std::string& source) {
  return decoder_model(read_gpt_config(config, source));
}

}  // namespace galvatron::spec
