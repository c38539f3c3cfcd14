// What the decoder-only families have in common once their config.json is understood: the numbers
// from which the list of layers is made. One reader per family; one maker of layers.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

struct DecoderConfig {
  Family family = Family::kGpt;
  std::int64_t vocab_size = 0;
  std::int64_t max_positions = 0;
  std::int64_t num_blocks = 0;
  bool tied_embeddings = false;
  TransformerShape shape;
  double init_stddev = 0;
  // Of the projections that write to the residual stream (attention.output, mlp.down).
  double residual_init_stddev = 0;
};

// Limits of what a config may ask for: far above any real model, low enough that no product
// overflows.
constexpr std::int64_t kMaxWidth = 1 << 20;  // hidden, intermediate, heads
constexpr std::int64_t kMaxBlocks = 10'000;
constexpr std::int64_t kMaxVocab = 1 << 30;
constexpr std::int64_t kMaxPositions = 1 << 30;

// `source` names the config in errors. ConfigError for values that are impossible and for features
// that change the result and that we do not have. Absent keys take transformers' defaults.
DecoderConfig read_gpt_config(const Json& config, const std::string& source);
// model_type llama, mistral and qwen2.
DecoderConfig read_llama_config(const Json& config, const std::string& source);

// Embedding, blocks, head; see README.md for the names of the parameters.
std::vector<LayerSpec> decoder_layers(const DecoderConfig& config);

// transformers' activation names: "gelu_new", "silu", ... ConfigError names `key`.
Activation parse_activation(const std::string& text, const std::string& key,
                            const std::string& source);

// ConfigError: `key` of `source` has a value whose meaning we do not have. `way_out` ends the
// sentence and may be empty.
[[noreturn]] void refuse_feature(const std::string& source, const std::string& key,
                                 const std::string& value, const std::string& way_out);

// Refuses keys that change the result in every family: quantization_config.
void refuse_common_features(const Json& config, const std::string& source);

}  // namespace galvatron::spec
