// Kinds of input as words, for the border to Python.
#pragma once
#include <string>

#include "galvatron/spec/model_spec.h"

namespace galvatron::binding {

// "tokens", "target_tokens", "labels", "images", "classes".
const char* input_kind_name(spec::InputKind kind);
spec::InputKind parse_input_kind(const std::string& name);  // REQUIRES: one of them

}  // namespace galvatron::binding
