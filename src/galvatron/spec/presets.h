// The models that come with us, by name: configs/models.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

bool is_preset(const std::string& name);
// Its config, whether it is there or not.
std::filesystem::path preset_path(const std::string& name);

// The preset of that name; no other file is looked for. ConfigError for a name that is none.
ModelSpec load_preset(const std::string& name, const ModelOverrides& overrides = {});

// All presets: those of a series together, the smallest first.
std::vector<ModelSpec> load_presets();

}  // namespace galvatron::spec
