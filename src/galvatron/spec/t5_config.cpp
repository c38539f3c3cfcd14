// T5 (original, v1.1, Flan) and mT5 as transformers' T5Config and MT5Config describe them: their
// reader. The layers:
// t5_layers.cpp.
#include "galvatron/spec/t5_config.h"

#include <cmath>

#include "galvatron/base/error.h"
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/families.h"

namespace galvatron::spec {
namespace {

void refuse_t5_features(JsonReader& reader, const std::string& source) {
  if (reader.get_bool_or("is_decoder", false)) {
    refuse_feature(source, "is_decoder", "true", "; only encoder with decoder is");
  }
  if (!reader.get_bool_or("is_encoder_decoder", true)) {
    refuse_feature(source, "is_encoder_decoder", "false", "; only encoder with decoder is");
  }
}

// "relu", "gated-gelu": what follows the dash is the activation. "gated-gelu" means gelu_new.
void read_feed_forward(JsonReader& reader, const std::string& source, const std::string& usual,
                       TransformerShape& shape) {
  const char* key = "feed_forward_proj";
  const std::string text = reader.get_string_or(key, usual), gated = "gated-";
  shape.gated_mlp = text.starts_with(gated);
  std::string activation = shape.gated_mlp ? text.substr(gated.size()) : text;
  if (text == "gated-gelu") activation = "gelu_new";
  shape.activation = parse_activation(activation, key, source);
}

RelativeBiasSpec read_relative_bias(JsonReader& reader, const std::string& source) {
  RelativeBiasSpec bias;
  bias.num_buckets = reader.get_int_or("relative_attention_num_buckets", 32, 4, kMaxWidth);
  bias.max_distance = reader.get_int_or("relative_attention_max_distance", 128, 1, kMaxPositions);
  if (bias.max_distance <= bias.num_buckets / 2) {
    throw ConfigError("[model] ", source, ": relative_attention_max_distance ", bias.max_distance,
                      " must be more than half of the ", bias.num_buckets,
                      " relative_attention_num_buckets, which hold one distance each");
  }
  return bias;
}

struct T5Defaults {
  std::int64_t vocab_size = 32128, intermediate_size = 2048, num_layers = 6, num_heads = 8;
  const char* feed_forward = "relu";
};
constexpr T5Defaults kMt5Defaults = {250112, 1024, 8, 6, "gated-gelu"};

TransformerShape read_t5_shape(JsonReader& reader, const std::string& source,
                               const T5Defaults& defaults) {
  TransformerShape shape;
  shape.hidden_size = get_int_either(reader, "d_model", "hidden_size", 512, kMaxWidth);
  shape.num_heads =
      get_int_either(reader, "num_heads", "num_attention_heads", defaults.num_heads, kMaxWidth);
  shape.num_kv_heads = shape.num_heads;
  shape.head_size = get_int_either(reader, "d_kv", "head_dim", 64, kMaxWidth);
  shape.intermediate_size = reader.get_int_or("d_ff", defaults.intermediate_size, 1, 4 * kMaxWidth);
  read_feed_forward(reader, source, defaults.feed_forward, shape);
  shape.norm = Norm::kRmsNorm;
  shape.norm_epsilon = reader.get_number_or("layer_norm_epsilon", 1e-6, 0, 1);
  shape.qkv_bias = shape.attention_output_bias = shape.mlp_bias = false;
  shape.learned_positions = false;
  shape.relative_bias = read_relative_bias(reader, source);
  shape.attention_scale = 1;
  const double dropout = reader.get_number_or("dropout_rate", 0.1, 0, 0.999);
  shape.embedding_dropout = shape.attention_dropout = dropout;
  shape.residual_dropout = shape.mlp_dropout = dropout;
  return shape;
}

}  // namespace

T5Config read_t5_config(const Json& json, const std::string& source) {
  JsonReader reader(json, source, Nulls::kAbsent);
  refuse_t5_features(reader, source);
  const bool multilingual = reader.get_string("model_type") == "mt5";
  const T5Defaults defaults = multilingual ? kMt5Defaults : T5Defaults();
  T5Config config;
  config.vocab_size = reader.get_int_or("vocab_size", defaults.vocab_size, 1, kMaxVocab);
  config.num_encoder_blocks =
      get_int_either(reader, "num_layers", "num_hidden_layers", defaults.num_layers, kMaxBlocks);
  config.num_decoder_blocks =
      reader.get_int_or("num_decoder_layers", config.num_encoder_blocks, 1, kMaxBlocks);
  // transformers 5 writes `tie_word_embeddings` whatever the model has: an output that is not
  // scaled is one of its own.
  config.tied_output = reader.get_bool_or("tie_word_embeddings", true) &&
                       reader.get_bool_or("scale_decoder_outputs", true);
  // What transformers 5 writes; before it, an output of its own (v1.1) was the sign.
  config.scaled_output = reader.get_bool_or("scale_decoder_outputs", config.tied_output);
  config.init_factor = reader.get_number_or("initializer_factor", 1, 0, 100);
  if (multilingual) config.scaled_output = false;  // of mT5 neither kind of output is
  config.shape = read_t5_shape(reader, source, defaults);
  return config;
}

ModelSpec t5_model(const Json& json, const std::string& source) {
  const T5Config config = read_t5_config(json, source);
  ModelSpec model;
  model.family = Family::kT5;
  model.task = Task::kSequenceToSequence;
  model.vocab_size = config.vocab_size;
  model.max_positions = kAnyLength;  // distances beyond the farthest bucket share it
  model.tied_embeddings = config.tied_output;
  model.output_scale =
      config.scaled_output ? 1 / std::sqrt(static_cast<double>(config.shape.hidden_size)) : 1;
  model.layers = t5_layers(config);
  return model;
}

}  // namespace galvatron::spec
