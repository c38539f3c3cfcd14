// T5's config.json as numbers, and its layers made of them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

struct T5Config {
  std::int64_t vocab_size = 0;
  std::int64_t num_encoder_blocks = 0;
  std::int64_t num_decoder_blocks = 0;
  bool tied_output =
      false;  // the output projection is the token embedding, which both stacks share
  bool scaled_output = false;  // logits times hidden_size^-0.5
  double init_factor = 1;
  TransformerShape shape;  // of both stacks, but for what tells a decoder
};

T5Config read_t5_config(const Json& config, const std::string& source);

// Encoder embedding and blocks, decoder embedding and blocks, head; see README.md for the names of
// the parameters.
std::vector<LayerSpec> t5_layers(const T5Config& config);

}  // namespace galvatron::spec
