// Families of transformers that we do not have: why, and which of ours is the nearest.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "galvatron/base/json.h"

namespace galvatron::spec {

// ": its layers are ...; the nearest family that works is llama", the middle of the sentence that
// refuses a config of an unknown model_type. Of types that we know nothing about, from the config's
// own keys; "" where they say nothing either.
std::string foreign_family_hint(const std::string& model_type, const Json& config);

// ": add it, such as "model_type": "gpt2", ...", the end of the sentence that refuses a config
// without a model_type.
std::string likely_type_hint(const Json& config);

// "; falcon models are not supported: ...", where the name of a model begins with that of such a
// family ("tiiuae/falcon-7b"); else "".
std::string foreign_name_hint(const std::string& name);

// Each with its nearest of ours, or "".
std::vector<std::pair<std::string, std::string>> foreign_families();

}  // namespace galvatron::spec
