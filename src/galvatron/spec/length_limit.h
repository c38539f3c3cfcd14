// Why a sequence may be no longer, in words.
#pragma once
#include <string>

#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

// Behind "the 4096 positions of model 'mistral'": " (its sliding_window, ...)" where the model has
// more positions, and its window is what ends them. Else empty.
std::string window_note(const ModelSpec& model);

}  // namespace galvatron::spec
