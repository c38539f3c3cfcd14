#include "galvatron/spec/decoder_config.h"

#include "galvatron/base/error.h"
#include "galvatron/spec/config_features.h"

namespace galvatron::spec {
namespace {

const std::string kFullAttention = "full_attention", kSlidingAttention = "sliding_attention";

std::int64_t read_kv_heads(const Json& json, JsonReader& reader, std::int64_t fallback,
                           std::int64_t num_heads) {
  const bool null = json.contains("num_key_value_heads") && json["num_key_value_heads"].is_null();
  if (null || fallback == 0) fallback = num_heads;
  const std::int64_t heads = reader.get_int_or("num_key_value_heads", fallback, 1, kMaxWidth);
  if (num_heads % heads != 0) {
    throw ConfigError("[model] ", reader.source(), ": num_attention_heads ", num_heads,
                      " is not a multiple of num_key_value_heads ", heads);
  }
  return heads;
}

std::int64_t read_head_size(JsonReader& reader, const TransformerShape& shape,
                            std::int64_t fallback) {
  const bool divides = !reader.has("head_dim") && fallback == 0;
  const std::int64_t head_size =
      divides ? divided_width(reader.source(), "hidden_size", shape.hidden_size,
                              "num_attention_heads", shape.num_heads)
              : reader.get_int_or("head_dim", fallback, 1, kMaxWidth);
  if (head_size % 2 != 0) {
    throw ConfigError("[model] ", reader.source(), ": a head size of ", head_size,
                      " is odd; rotary position embedding needs an even one");
  }
  return head_size;
}

}  // namespace

DecoderConfig read_common_config(const Json& json, JsonReader& reader,
                                 const DecoderDefaults& defaults) {
  DecoderConfig config;
  config.vocab_size = reader.get_int_or("vocab_size", defaults.vocab_size, 1, kMaxVocab);
  config.max_positions =
      reader.get_int_or("max_position_embeddings", defaults.max_positions, 1, kMaxPositions);
  config.tied_embeddings = reader.get_bool_or("tie_word_embeddings", defaults.tied_embeddings);
  config.init_stddev = reader.get_number_or("initializer_range", 0.02, 0, 100);
  config.residual_init_stddev = config.init_stddev;

  TransformerShape& shape = config.shape;
  shape.hidden_size = reader.get_int_or("hidden_size", defaults.hidden_size, 1, kMaxWidth);
  shape.num_heads = reader.get_int_or("num_attention_heads", defaults.num_heads, 1, kMaxWidth);
  shape.num_kv_heads = read_kv_heads(json, reader, defaults.num_kv_heads, shape.num_heads);
  shape.head_size = read_head_size(reader, shape, defaults.head_size);
  shape.intermediate_size =
      reader.get_int_or("intermediate_size", defaults.intermediate_size, 1, 4 * kMaxWidth);
  shape.gated_mlp = true;
  shape.activation =
      parse_activation(reader.get_string_or(defaults.activation_key, defaults.activation),
                       defaults.activation_key, reader.source());
  shape.norm = Norm::kRmsNorm;
  shape.norm_epsilon = reader.get_number_or(defaults.norm_key, defaults.norm_epsilon, 0, 1);
  shape.attention_dropout = reader.get_number_or("attention_dropout", 0, 0, 0.999);
  shape.learned_positions = false;
  shape.qkv_bias = shape.attention_output_bias = shape.mlp_bias = false;
  const std::int64_t num_blocks =
      reader.get_int_or("num_hidden_layers", defaults.num_layers, 1, kMaxBlocks);
  config.blocks.assign(static_cast<std::size_t>(num_blocks), shape);
  return config;
}

std::int64_t read_window(const Json& json, JsonReader& reader, std::int64_t fallback) {
  const bool null = json.contains("sliding_window") && json["sliding_window"].is_null();
  const std::int64_t window = reader.get_int_or("sliding_window", fallback, 0, kMaxPositions);
  if (reader.has("sliding_window") && window == 0) {
    throw ConfigError("[model] ", reader.source(),
                      ": a sliding_window of 0 hides every token; write null for none");
  }
  return null ? 0 : window;
}

std::vector<bool> read_sliding_blocks(JsonReader& reader, std::int64_t num_blocks,
                                      const std::function<bool(std::int64_t)>& usual) {
  std::vector<bool> slides;
  if (!reader.has("layer_types")) {
    for (std::int64_t i = 0; i < num_blocks; ++i) slides.push_back(usual(i));
    return slides;
  }
  for (const Json& type : reader.get_array("layer_types")) {
    const std::string name = type.is_string() ? type.get<std::string>() : type.dump();
    if (name != kFullAttention && name != kSlidingAttention) {
      refuse_feature(reader.source(), "layer_types", type.dump(),
                     "; full_attention and sliding_attention are");
    }
    slides.push_back(name == kSlidingAttention);
  }
  if (static_cast<std::int64_t>(slides.size()) != num_blocks) {
    throw ConfigError("[model] ", reader.source(), ": layer_types has ", slides.size(),
                      " entries, num_hidden_layers is ", num_blocks, "; give one for each layer");
  }
  return slides;
}

void set_rope(DecoderConfig& config, const RopeSpec& rope) {
  config.shape.rope = rope;
  for (TransformerShape& block : config.blocks) block.rope = rope;
}

}  // namespace galvatron::spec
