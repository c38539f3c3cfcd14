// OLMo 2 as transformers' Olmo2Config describes it.
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/decoder_config.h"
#include "galvatron/spec/families.h"
#include "galvatron/spec/rope.h"

namespace galvatron::spec {
namespace {

constexpr DecoderDefaults kOlmoDefaults = {.vocab_size = 50304, .norm_epsilon = 1e-5};
constexpr std::int64_t kOlmoPadding = 1;

}  // namespace

DecoderConfig read_olmo_config(const Json& json, const std::string& source) {
  JsonReader reader(json, source, Nulls::kAbsent);
  DecoderConfig config = read_common_config(json, reader, kOlmoDefaults);
  config.family = Family::kOlmo;
  TransformerShape& shape = config.shape;
  shape.norm_place = NormPlace::kBehind;
  shape.head_norm = HeadNorm::kTogether;
  shape.qkv_bias = shape.attention_output_bias = reader.get_bool_or("attention_bias", false);
  shape.rope = read_rope(json, shape.head_size, config.max_positions, source);
  config.blocks.assign(config.blocks.size(), shape);
  config.padding_token = read_padding_token(json, reader, kOlmoPadding, config.vocab_size);
  return config;
}

ModelSpec olmo_model(const Json& config, const std::string& source) {
  return decoder_model(read_olmo_config(config, source));
}

}  // namespace galvatron::spec
