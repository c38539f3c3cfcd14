// Phi-3, Phi-3.5 and Phi-4 as transformers' Phi3Config describes them.
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/decoder_config.h"
#include "galvatron/spec/families.h"
#include "galvatron/spec/rope.h"

namespace galvatron::spec {
namespace {

constexpr DecoderDefaults kPhiDefaults = {.vocab_size = 32064,
                                          .hidden_size = 3072,
                                          .intermediate_size = 8192,
                                          .max_positions = 4096,
                                          .norm_epsilon = 1e-5};
constexpr std::int64_t kPhiPadding = 32000;

// "su" and "yarn" are longrope's names in early configs.
Json with_new_names(Json config) {
  for (const char* section : {"rope_scaling", "rope_parameters"}) {
    const auto found = config.find(section);
    if (found == config.end() || !found->is_object()) continue;
    for (const char* key : {"type", "rope_type"}) {
      const std::string name =
          found->contains(key) && (*found)[key].is_string() ? (*found)[key].get<std::string>() : "";
      if (name == "su" || name == "yarn") (*found)[key] = "longrope";
    }
  }
  // What transformers' Phi3Config says of a config that does not.
  if (!config.contains("original_max_position_embeddings"))
    config["original_max_position_embeddings"] = kPhiDefaults.max_positions;
  return config;
}

}  // namespace

DecoderConfig read_phi_config(const Json& json, const std::string& source) {
  JsonReader reader(json, source, Nulls::kAbsent);
  DecoderConfig config = read_common_config(json, reader, kPhiDefaults);
  config.family = Family::kPhi;
  TransformerShape& shape = config.shape;
  shape.residual_dropout = reader.get_number_or("resid_pdrop", 0, 0, 0.999);
  shape.rope = read_rope(with_new_names(json), shape.head_size, config.max_positions, source,
                         RotaryPart::kAny);
  shape.sliding_window = read_window(json, reader, 0);
  config.blocks.assign(config.blocks.size(), shape);
  config.padding_token = read_padding_token(json, reader, kPhiPadding, config.vocab_size);
  return config;
}

ModelSpec phi_model(const Json& config, const std::string& source) {
  return decoder_model(read_phi_config(config, source));
}

}  // namespace galvatron::spec
