// How long a sequence may be, and why no longer, in words.
#pragma once
#include <string>

#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

// "the 2048 positions of model 'gpt2'", "the 4096 positions of model 'mistral' (its sliding_window:
// beyond it tokens are hidden, which is not supported)".
std::string length_limit(const ModelSpec& model);

}  // namespace galvatron::spec
