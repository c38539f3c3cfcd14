#include "galvatron/spec/presets.h"

#include <algorithm>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/spec/preset_hint.h"

namespace galvatron::spec {

bool is_preset(const std::string& name) {
  const std::vector<std::string> names = preset_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::filesystem::path preset_path(const std::string& name) {
  return configs_directory() / "models" / (name + ".json");
}

ModelSpec load_preset(const std::string& name, const ModelOverrides& overrides) {
  if (!is_preset(name)) {
    throw ConfigError("[model] '", name, "' ", unknown_model_hint(name, preset_names()));
  }
  return load_model(preset_path(name).string(), overrides);
}

std::vector<ModelSpec> load_presets() {
  std::vector<ModelSpec> models;
  for (const std::string& name : preset_names()) {
    models.push_back(load_model(preset_path(name).string()));
  }
  const auto order = [](const ModelSpec& model) {
    return std::pair(model.name.substr(0, model.name.find('-')), model.num_params());
  };
  std::stable_sort(models.begin(), models.end(),
                   [&](const auto& one, const auto& other) { return order(one) < order(other); });
  return models;
}

}  // namespace galvatron::spec
