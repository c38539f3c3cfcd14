// Where each family's config.json keeps the numbers that a user may override, and how they are
// written there.
#pragma once
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/spec/model_overrides.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

// The keys of one number, or why the family has no such number.
struct ConfigKey {
  std::vector<const char*> keys;
  const char* why_none = "";
};

struct ConfigKeys {
  ConfigKey num_layers, hidden_size, num_heads, num_kv_heads, head_size, intermediate_size,
      vocab_size, max_positions;
};

const ConfigKeys& config_keys(Family family);

struct NamedConfig {
  Json config;
  std::string name;  // "llama2-7b(num_layers=48)" once a number differs
};

// The config with the overrides, and with what follows from them, in it. ConfigError for a number
// that the family does not have, or that fits no other, naming the nearest that do.
NamedConfig override_config(NamedConfig model, Family family, const ModelOverrides& overrides);

}  // namespace galvatron::spec
