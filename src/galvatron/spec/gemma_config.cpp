// Gemma, Gemma 2 and the text model of Gemma 3, as transformers' GemmaConfig, Gemma2Config and
// Gemma3TextConfig describe them.
#include <cmath>

#include "galvatron/base/error.h"
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/decoder_config.h"
#include "galvatron/spec/families.h"
#include "galvatron/spec/rope.h"

namespace galvatron::spec {
namespace {

enum class Generation { kFirst, kSecond, kThird };

Generation generation_of(const std::string& model_type) {
  if (model_type == "gemma") return Generation::kFirst;
  return model_type == "gemma2" ? Generation::kSecond : Generation::kThird;
}

DecoderDefaults gemma_defaults(Generation generation) {
  DecoderDefaults out = {.vocab_size = 256000,
                         .hidden_size = 2304,
                         .intermediate_size = 9216,
                         .num_layers = 26,
                         .num_heads = 8,
                         .num_kv_heads = 4,
                         .head_size = 256,
                         .max_positions = 8192,
                         .tied_embeddings = true,
                         .activation_key = "hidden_activation",
                         .activation = "gelu_pytorch_tanh"};
  if (generation == Generation::kFirst) {
    out.hidden_size = 3072;
    out.intermediate_size = 24576;
    out.num_layers = 28;
    out.num_heads = out.num_kv_heads = 16;
    out.activation_key = "hidden_act";
  } else if (generation == Generation::kThird) {
    out.vocab_size = 262208;
    out.max_positions = 131072;
  }
  return out;
}

void refuse_gemma_features(JsonReader& reader, Generation generation) {
  if (reader.get_bool_or("use_bidirectional_attention", false)) {
    refuse_feature(reader.source(), "use_bidirectional_attention", "true",
                   "; only false is, and for masked tokens bert and roberta are");
  }
  // transformers' Gemma 3 reads this one and does not use it.
  const char* key = "attn_logit_softcapping";
  if (generation == Generation::kThird && reader.has(key))
    refuse_feature(reader.source(), key, reader.get(key).dump(), " in gemma3_text; only null is");
}

// null: none.
double read_softcap(const Json& json, JsonReader& reader, const char* key, double fallback) {
  const bool null = json.contains(key) && json[key].is_null();
  const double cap = reader.get_number_or(key, fallback, 0, 1e9);
  return null ? 0 : cap;
}

// In the first generation's configs "gelu" means its approximation, too.
void correct_activation(JsonReader& reader, Generation generation, TransformerShape& shape) {
  const bool first = generation == Generation::kFirst;
  if (first && reader.get_string_or("hidden_act", "") == "gelu")
    shape.activation = Activation::kGeluTanh;
}

// Gemma 3 turns heads by another base in windows, and stretches positions outside them alone. As
// one section of transformers 5, or as the keys before it.
Json rope_config(const Json& json, bool slides) {
  const std::string type = slides ? "sliding_attention" : "full_attention";
  Json out = json;
  out.erase("rope_scaling");
  const auto by_type = json.find("rope_parameters");
  if (by_type != json.end() && by_type->is_object()) {
    out["rope_parameters"] = by_type->value(type, Json::object());
  }
  const char* theta = slides ? "rope_local_base_freq" : "rope_theta";
  const double usual = slides ? 1e4 : 1e6;
  out["rope_theta"] = json.contains(theta) && !json[theta].is_null() ? json[theta] : Json(usual);
  if (!slides && json.contains("rope_scaling")) out["rope_scaling"] = json["rope_scaling"];
  return out;
}

void read_third_ropes(const Json& json, DecoderConfig& config, const std::string& source) {
  const auto rope = [&](bool slides) {
    return read_rope(rope_config(json, slides), config.shape.head_size, config.max_positions,
                     source);
  };
  const RopeSpec whole = rope(false), windowed = rope(true);
  config.shape.rope = whole;
  for (TransformerShape& block : config.blocks)
    block.rope = block.sliding_window > 0 ? windowed : whole;
}

void read_gemma_windows(const Json& json, JsonReader& reader, Generation generation,
                        DecoderConfig& config) {
  if (generation == Generation::kFirst) return;
  const std::int64_t window = read_window(json, reader, 4096);
  const std::int64_t pattern = generation == Generation::kSecond
                                   ? 2
                                   : reader.get_int_or("sliding_window_pattern", 6, 1, kMaxBlocks);
  const std::vector<bool> slides =
      read_sliding_blocks(reader, static_cast<std::int64_t>(config.blocks.size()),
                          [&](std::int64_t i) { return (i + 1) % pattern != 0; });
  for (std::size_t i = 0; i < slides.size(); ++i) {
    if (!slides[i]) continue;
    if (window == 0) {
      throw ConfigError("[model] ", reader.source(), ": sliding_window is null, but layer ", i,
                        " slides; give the window, or layer_types of full_attention");
    }
    config.blocks[i].sliding_window = window;
  }
}

}  // namespace

DecoderConfig read_gemma_config(const Json& json, const std::string& source) {
  JsonReader reader(json, source, Nulls::kAbsent);
  const Generation generation = generation_of(reader.get_string("model_type"));
  refuse_gemma_features(reader, generation);
  DecoderConfig config = read_common_config(json, reader, gemma_defaults(generation));
  config.family = Family::kGemma;
  TransformerShape& shape = config.shape;
  correct_activation(reader, generation, shape);
  shape.norm = Norm::kRmsNormPlusOne;
  shape.qkv_bias = shape.attention_output_bias = reader.get_bool_or("attention_bias", false);
  shape.embedding_scale = std::sqrt(static_cast<double>(shape.hidden_size));
  if (generation != Generation::kFirst) {
    shape.norm_place = NormPlace::kAround;
    const double scalar = reader.get_number_or("query_pre_attn_scalar", 256, 1e-6, 1e9);
    shape.attention_scale = 1 / std::sqrt(scalar);
    const bool second = generation == Generation::kSecond;
    shape.logit_softcap = read_softcap(json, reader, "final_logit_softcapping", second ? 30 : 0);
    if (second)
      shape.attention_softcap = read_softcap(json, reader, "attn_logit_softcapping", 50);
    else
      shape.head_norm = HeadNorm::kEach;
  }
  config.blocks.assign(config.blocks.size(), shape);
  read_gemma_windows(json, reader, generation, config);
  if (generation == Generation::kThird) {
    read_third_ropes(json, config, source);
  } else {
    set_rope(config, read_rope(json, shape.head_size, config.max_positions, source));
  }
  config.padding_token = read_padding_token(json, reader, /*absent=*/0, config.vocab_size);
  return config;
}

ModelSpec gemma_model(const Json& config, const std::string& source) {
  return decoder_model(read_gemma_config(config, source));
}

}  // namespace galvatron::spec
