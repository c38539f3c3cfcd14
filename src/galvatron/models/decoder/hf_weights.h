// What the checkpoints of the decoder-only families have in common.
#pragma once
#include <string>
#include <vector>

#include "galvatron/models/hf_weights.h"

namespace galvatron::models {

struct DecoderHfNames {
  std::string prefix;  // of all but the output projection: "transformer."
  std::string blocks;  // of block i, before its number: "h."
  std::vector<HfModule> modules;
  // Outside the prefix: what transformers writes, and what older checkpoints have.
  std::vector<std::string> output = {"lm_head.weight"};
};

// A tied output projection is the tokens' embedding; some checkpoints carry it under its own name
// all the same.
std::vector<HfTensor> decoder_hf_tensors(const DecoderHfNames& names, const spec::ModelSpec& model,
                                         int layer, const spec::ParamSpec& param);

}  // namespace galvatron::models
