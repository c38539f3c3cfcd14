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

ModelSpec decoder_model(const DecoderConfig& config);

// `source` names the config in errors. ConfigError for values that are impossible and for features
// that change the result and that we do not have. Absent keys take transformers' defaults.
DecoderConfig read_gpt_config(const Json& config, const std::string& source);
// model_type llama, mistral, qwen2 and qwen3.
DecoderConfig read_llama_config(const Json& config, const std::string& source);

// Embedding, blocks, head; see README.md for the names of the parameters.
std::vector<LayerSpec> decoder_layers(const DecoderConfig& config);

}  // namespace galvatron::spec
