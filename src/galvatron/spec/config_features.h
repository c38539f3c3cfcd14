// What the readers of all families' configs have in common: limits, names, refusals.
#pragma once
#include <cstdint>
#include <string>

#include "galvatron/base/json.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

// Limits of what a config may ask for: far above any real model, low enough that no product
// overflows.
constexpr std::int64_t kMaxWidth = 1 << 20;  // hidden, intermediate, heads
constexpr std::int64_t kMaxBlocks = 10'000;
constexpr std::int64_t kMaxVocab = 1 << 30;
constexpr std::int64_t kMaxPositions = 1 << 30;

// transformers' activation names: "gelu_new", "silu", ... ConfigError names `key`.
Activation parse_activation(const std::string& text, const std::string& key,
                            const std::string& source);

// ConfigError: `key` of `source` has a value whose meaning we do not have. `way_out` ends the
// sentence and may be empty.
[[noreturn]] void refuse_feature(const std::string& source, const std::string& key,
                                 const std::string& value, const std::string& way_out);

// From 1 to `max`, under the family's own name or the `general` one, which transformers lets stand
// for it (attribute_map of GPT2Config and T5Config).
std::int64_t get_int_either(JsonReader& reader, const std::string& key, const std::string& general,
                            std::int64_t fallback, std::int64_t max);

// Width of each of so many heads. ConfigError that names the keys where it is no whole number.
std::int64_t divided_width(const std::string& source, const char* width_key, std::int64_t width,
                           const char* heads_key, std::int64_t heads);

// `pad_token_id`: the token that embeddings take no gradient from; `absent` where the config lacks
// the key (-1 where the vocabulary has no such token), -1 where it is null. A negative id counts
// from the end of the vocabulary.
std::int64_t read_padding_token(const Json& config, JsonReader& reader, std::int64_t absent,
                                std::int64_t vocab_size);

// Refuses keys that change the result in every family: quantization_config.
void refuse_common_features(const Json& config, const std::string& source);

}  // namespace galvatron::spec
