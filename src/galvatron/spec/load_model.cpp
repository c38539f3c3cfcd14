#include <algorithm>
#include <cstdlib>
#include <map>

#include "galvatron/base/error.h"
#include "galvatron/base/own_folder.h"
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/families.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {
namespace {

namespace fs = std::filesystem;

fs::path preset_path(const std::string& name) {
  return configs_directory() / "models" / (name + ".json");
}

bool is_preset(const std::string& name) {
  const std::vector<std::string> names = preset_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

// "models/llama/config.json" and "models/llama/" are "llama"; "my-gpt.json" is "my-gpt".
std::string name_of(const fs::path& config_file) {
  const fs::path path = fs::absolute(config_file).lexically_normal();
  return path.filename() == "config.json" ? path.parent_path().filename().string()
                                          : path.stem().string();
}

ModelSpec load_file(const fs::path& path) {
  try {
    return model_from_config(read_json_file(path, mebibytes(16)), name_of(path));
  } catch (const ConfigError& error) {
    const std::string message = error.what();
    if (message.find(path.string()) != std::string::npos) throw;
    throw ConfigError(message, " (in ", path.string(), ")");
  }
}

// model_type -> what makes a model of its config. A family adds its line here.
using ModelReader = ModelSpec (*)(const Json& config, const std::string& source);
const std::map<std::string, ModelReader>& readers() {
  static const std::map<std::string, ModelReader> kReaders = {
      {"gpt2", gpt_model},    {"llama", llama_model}, {"mistral", llama_model},
      {"qwen2", llama_model}, {"qwen3", llama_model}, {"bert", bert_model},
      {"t5", t5_model},       {"vit", vit_model},     {"swin", swin_model},
  };
  return kReaders;
}

[[noreturn]] void fail_unknown_model(const std::string& model) {
  const std::vector<std::string> names = preset_names();
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  const std::string nearest = did_you_mean(model, names);
  throw ConfigError("[model] '", model, "' is no preset and no file or folder",
                    nearest.empty() ? "" : nearest, nearest.empty() ? "; presets are " + list : "");
}

}  // namespace

fs::path configs_directory() {
  if (const char* path = std::getenv("GALVATRON_CONFIGS"); path && *path) return path;
  // An installation, then a build folder inside the sources: of the binary, of the Python module.
  for (const char* place : {"configs", "../configs", "../share/galvatron/configs",
                            "../../../configs", "../../../../configs"}) {
    const fs::path candidate = (own_folder() / place).lexically_normal();
    std::error_code ignored;
    if (fs::is_directory(candidate / "models", ignored)) return candidate;
  }
  return GALVATRON_SOURCE_CONFIGS;
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(configs_directory() / "models", error)) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

ModelSpec load_model(const std::string& model) {
  if (model.empty()) throw ConfigError("[model] no model is named; give a preset or a config.json");
  if (is_preset(model)) return load_file(preset_path(model));
  std::error_code error;
  const fs::path path = model;
  if (fs::is_directory(path, error)) return load_file(path / "config.json");
  if (fs::exists(path, error)) return load_file(path);
  fail_unknown_model(model);
}

ModelSpec model_from_config(const Json& json, const std::string& name) {
  JsonReader reader(json, name, Nulls::kAbsent);
  const std::string type = reader.get_string("model_type");
  refuse_common_features(json, name);
  const auto known = readers().find(type);
  if (known == readers().end()) {
    std::string list;
    for (const auto& [known_type, unused] : readers())
      list += (list.empty() ? "" : ", ") + known_type;
    refuse_feature(name, "model_type", "'" + type + "'", "; supported are " + list);
  }
  ModelSpec model = known->second(json, name);
  model.name = name;
  model.config = json;
  return model;
}

}  // namespace galvatron::spec
