// LLaMA and the models that are LLaMA with other numbers: Mistral, Qwen2 and
// Qwen3 (whose attention normalises queries and keys). Defaults of absent keys are those of
// transformers' LlamaConfig, MistralConfig, Qwen2Config and Qwen3Config.
#include "galvatron/base/error.h"
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/decoder_config.h"
#include "galvatron/spec/families.h"
#include "galvatron/spec/rope.h"

namespace galvatron::spec {
namespace {

DecoderDefaults llama_defaults(const std::string& model_type) {
  DecoderDefaults out;
  if (model_type == "mistral") {
    out.intermediate_size = 14336;
    out.max_positions = 131072;
    out.num_kv_heads = 8;
  } else if (model_type == "qwen2" || model_type == "qwen3") {
    out.vocab_size = 151936;
    out.intermediate_size = 22016;
    out.max_positions = 32768;
    out.num_kv_heads = 32;
  }
  if (model_type == "qwen3") out.head_size = 128;
  return out;
}

void read_qwen_windows(const Json& json, JsonReader& reader, DecoderConfig& config) {
  const std::int64_t window = read_window(json, reader, 4096);
  const std::int64_t first_layer = reader.get_int_or("max_window_layers", 28, 0, kMaxBlocks);
  const bool in_use = reader.get_bool_or("use_sliding_window", false);
  const std::vector<bool> slides =
      read_sliding_blocks(reader, static_cast<std::int64_t>(config.blocks.size()),
                          [&](std::int64_t i) { return in_use && i >= first_layer; });
  for (std::size_t i = 0; i < slides.size(); ++i) {
    if (!slides[i]) continue;
    if (!in_use) {
      throw ConfigError("[model] ", reader.source(), ": layer_types has sliding_attention, but ",
                        "use_sliding_window is false; set it to true, or give full_attention");
    }
    config.blocks[i].sliding_window = window;
  }
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
  DecoderConfig config = read_common_config(json, reader, llama_defaults(model_type));
  config.family = Family::kLlama;
  TransformerShape& shape = config.shape;
  if (model_type == "qwen3") shape.head_norm = HeadNorm::kEach;
  read_biases(reader, model_type, shape);
  shape.rope = read_rope(json, shape.head_size, config.max_positions, source);
  config.blocks.assign(config.blocks.size(), shape);
  if (model_type == "mistral") {
    const std::int64_t window = read_window(json, reader, 4096);
    for (TransformerShape& block : config.blocks) block.sliding_window = window;
  } else if (model_type != "llama") {
    read_qwen_windows(json, reader, config);
  }
  config.padding_token = read_padding_token(json, reader, /*absent=*/-1, config.vocab_size);
  return config;
}

ModelSpec llama_model(const Json& config, const std::string& source) {
  return decoder_model(read_llama_config(config, source));
}

}  // namespace galvatron::spec
