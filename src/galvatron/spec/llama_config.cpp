// LLaMA and the models that are LLaMA with other numbers: Mistral, Qwen2 and
// Qwen3 (whose attention normalises queries and keys). Defaults of absent keys are those of
// transformers' LlamaConfig, MistralConfig, Qwen2Config and Qwen3Config.
#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/decoder_config.h"
#include "galvatron/spec/families.h"
#include "galvatron/spec/rope.h"

namespace galvatron::spec {
namespace {

struct Defaults {
  std::int64_t vocab_size;
  std::int64_t intermediate_size;
  std::int64_t max_positions;
  std::int64_t num_kv_heads;  // 0: as many as heads
};

Defaults defaults_of(const std::string& model_type) {
  if (model_type == "mistral") return {32000, 14336, 131072, 8};
  if (model_type == "qwen2" || model_type == "qwen3") return {151936, 22016, 32768, 32};
  return {32000, 11008, 2048, 0};
}

const std::string kFullAttention = "full_attention", kSlidingAttention = "sliding_attention";

// What a window of so many tokens leaves: sequences in which it hides nothing. Longer ones are
// refused (spec/length_limit.h).
std::int64_t mistral_window(const Json& json, JsonReader& reader) {
  if (json.contains("sliding_window") && json["sliding_window"].is_null()) return kMaxPositions;
  return reader.get_int_or("sliding_window", 4096, 1, kMaxPositions);
}

std::int64_t qwen_window(const Json& json, JsonReader& reader, std::int64_t num_blocks,
                         const std::string& source) {
  const bool null_window = json.contains("sliding_window") && json["sliding_window"].is_null();
  const std::int64_t window = reader.get_int_or("sliding_window", 4096, 1, kMaxPositions);
  if (reader.has("layer_types")) {
    bool slides = false;
    for (const Json& type : reader.get_array("layer_types")) {
      const std::string name = type.is_string() ? type.get<std::string>() : type.dump();
      if (name != kFullAttention && name != kSlidingAttention)
        refuse_feature(source, "layer_types", type.dump(), "");
      slides = slides || name == kSlidingAttention;
    }
    return slides && !null_window ? window : kMaxPositions;
  }
  const std::int64_t first_layer = reader.get_int_or("max_window_layers", 28, 0, kMaxBlocks);
  if (!reader.get_bool_or("use_sliding_window", false) || null_window) return kMaxPositions;
  return first_layer >= num_blocks ? kMaxPositions : window;
}

std::int64_t read_kv_heads(const Json& json, JsonReader& reader, std::int64_t fallback,
                           std::int64_t num_heads, const std::string& source) {
  const bool null = json.contains("num_key_value_heads") && json["num_key_value_heads"].is_null();
  if (null || fallback == 0) fallback = num_heads;
  const std::int64_t heads = reader.get_int_or("num_key_value_heads", fallback, 1, kMaxWidth);
  if (num_heads % heads != 0) {
    throw ConfigError("[model] ", source, ": num_attention_heads ", num_heads,
                      " is not a multiple of num_key_value_heads ", heads);
  }
  return heads;
}

std::int64_t read_head_size(JsonReader& reader, const TransformerShape& shape,
                            const std::string& source) {
  const bool own_default = shape.qk_norm;  // Qwen3's
  const std::int64_t fallback = own_default ? 128 : shape.hidden_size / shape.num_heads;
  const std::int64_t head_size = reader.get_int_or("head_dim", fallback, 1, kMaxWidth);
  if (!reader.has("head_dim") && !own_default && shape.hidden_size % shape.num_heads != 0) {
    throw ConfigError("[model] ", source, ": hidden_size ", shape.hidden_size,
                      " is not a multiple of num_attention_heads ", shape.num_heads);
  }
  if (head_size % 2 != 0) {
    throw ConfigError("[model] ", source, ": a head size of ", head_size,
                      " is odd; rotary position embedding needs an even one");
  }
  return head_size;
}

void read_biases(JsonReader& reader, const std::string& model_type, TransformerShape& shape) {
  const bool llama = model_type == "llama";
  const bool attention_bias =
      (llama || model_type == "qwen3") && reader.get_bool_or("attention_bias", false);
  shape.qkv_bias = attention_bias || model_type == "qwen2";
  shape.attention_output_bias = attention_bias;
  shape.mlp_bias = llama && reader.get_bool_or("mlp_bias", false);
}

}  // namespace

DecoderConfig read_llama_config(const Json& json, const std::string& source) {
  JsonReader reader(json, source, Nulls::kAbsent);
  const std::string model_type = reader.get_string("model_type");
  const Defaults defaults = defaults_of(model_type);
  DecoderConfig config;
  config.family = Family::kLlama;
  config.vocab_size = reader.get_int_or("vocab_size", defaults.vocab_size, 1, kMaxVocab);
  config.max_positions =
      reader.get_int_or("max_position_embeddings", defaults.max_positions, 1, kMaxPositions);
  config.num_blocks = reader.get_int_or("num_hidden_layers", 32, 1, kMaxBlocks);
  config.tied_embeddings = reader.get_bool_or("tie_word_embeddings", false);
  config.init_stddev = reader.get_number_or("initializer_range", 0.02, 0, 100);
  config.residual_init_stddev = config.init_stddev;

  TransformerShape& shape = config.shape;
  shape.hidden_size = reader.get_int_or("hidden_size", 4096, 1, kMaxWidth);
  shape.num_heads = reader.get_int_or("num_attention_heads", 32, 1, kMaxWidth);
  shape.num_kv_heads = read_kv_heads(json, reader, defaults.num_kv_heads, shape.num_heads, source);
  shape.qk_norm = model_type == "qwen3";
  shape.head_size = read_head_size(reader, shape, source);
  shape.intermediate_size =
      reader.get_int_or("intermediate_size", defaults.intermediate_size, 1, 4 * kMaxWidth);
  shape.gated_mlp = true;
  shape.activation =
      parse_activation(reader.get_string_or("hidden_act", "silu"), "hidden_act", source);
  shape.norm = Norm::kRmsNorm;
  shape.norm_epsilon = reader.get_number_or("rms_norm_eps", 1e-6, 0, 1);
  shape.attention_dropout = reader.get_number_or("attention_dropout", 0, 0, 0.999);
  shape.learned_positions = false;
  read_biases(reader, model_type, shape);
  shape.rope = read_rope(json, shape.head_size, config.max_positions, source);
  std::int64_t window = kMaxPositions;
  if (model_type == "mistral") window = mistral_window(json, reader);
  if (model_type == "qwen2" || model_type == "qwen3")
    window = qwen_window(json, reader, config.num_blocks, source);
  config.max_positions = std::min(config.max_positions, window);
  return config;
}

ModelSpec llama_model(const Json& config, const std::string& source) {
  ModelSpec model = decoder_model(read_llama_config(config, source));
  JsonReader reader(config, source, Nulls::kAbsent);
  model.padding_token = read_padding_token(config, reader, /*absent=*/-1, model.vocab_size);
  return model;
}

}  // namespace galvatron::spec
