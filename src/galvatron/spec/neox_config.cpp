// GPT-NeoX and Pythia as transformers' GPTNeoXConfig describes them.
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/decoder_config.h"
#include "galvatron/spec/families.h"
#include "galvatron/spec/rope.h"

namespace galvatron::spec {
namespace {

constexpr DecoderDefaults kNeoxDefaults = {.vocab_size = 50432,
                                           .hidden_size = 6144,
                                           .intermediate_size = 24576,
                                           .num_layers = 44,
                                           .num_heads = 64,
                                           .activation = "gelu",
                                           .norm_key = "layer_norm_eps",
                                           .norm_epsilon = 1e-5};
constexpr double kRotaryPart = 0.25;

// Under the names that other families have; those win, as in transformers.
Json with_usual_names(Json config) {
  const auto rename = [&](const char* own, const char* usual) {
    if (config.contains(own) && !config[own].is_null()) config[usual] = config[own];
  };
  rename("rotary_emb_base", "rope_theta");
  rename("rotary_pct", "partial_rotary_factor");
  if (!config.contains("partial_rotary_factor")) config["partial_rotary_factor"] = kRotaryPart;
  return config;
}

}  // namespace

DecoderConfig read_neox_config(const Json& json, const std::string& source) {
  JsonReader reader(json, source, Nulls::kAbsent);
  if (reader.get_bool_or("is_decoder", false) && reader.get_bool_or("add_cross_attention", false))
    refuse_feature(source, "add_cross_attention", "true", "; only false is");
  DecoderConfig config = read_common_config(json, reader, kNeoxDefaults);
  config.family = Family::kNeox;
  TransformerShape& shape = config.shape;
  shape.num_kv_heads = shape.num_heads;
  shape.gated_mlp = false;
  shape.norm = Norm::kLayerNorm;
  shape.mlp_bias = true;
  shape.qkv_bias = shape.attention_output_bias = reader.get_bool_or("attention_bias", true);
  shape.parallel_residual = reader.get_bool_or("use_parallel_residual", true);
  shape.residual_dropout = reader.get_number_or("hidden_dropout", 0, 0, 0.999);
  shape.embedding_dropout = shape.residual_dropout;
  shape.rope = read_rope(with_usual_names(json), shape.head_size, config.max_positions, source,
                         RotaryPart::kAny);
  config.blocks.assign(config.blocks.size(), shape);
  return config;
}

ModelSpec neox_model(const Json& config, const std::string& source) {
  return decoder_model(read_neox_config(config, source));
}

}  // namespace galvatron::spec
