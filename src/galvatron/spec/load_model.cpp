#include <algorithm>
#include <cstdlib>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/base/own_folder.h"
#include "galvatron/base/utf8.h"
#include "galvatron/spec/config_features.h"
#include "galvatron/spec/config_keys.h"
#include "galvatron/spec/families.h"
#include "galvatron/spec/foreign_families.h"
#include "galvatron/spec/model_spec.h"
#include "galvatron/spec/preset_hint.h"
#include "galvatron/spec/presets.h"

namespace galvatron::spec {
namespace {

namespace fs = std::filesystem;

// "models/llama/config.json" and "models/llama/" are "llama"; "my-gpt.json" is "my-gpt".
std::string name_of(const fs::path& config_file) {
  const fs::path path = fs::absolute(config_file).lexically_normal();
  const std::string name = path.filename() == "config.json" ? path.parent_path().filename().string()
                                                            : path.stem().string();
  return as_utf8(name);
}

// model_type -> its family, and what makes a model of its config. A family adds its line here.
struct ModelType {
  Family family;
  ModelSpec (*read)(const Json& config, const std::string& source);
};
const std::map<std::string, ModelType>& model_types() {
  static const std::map<std::string, ModelType> kTypes = {
      {"gpt2", {Family::kGpt, gpt_model}},
      {"llama", {Family::kLlama, llama_model}},
      {"mistral", {Family::kLlama, llama_model}},
      {"qwen2", {Family::kLlama, llama_model}},
      {"qwen3", {Family::kLlama, llama_model}},
      {"phi3", {Family::kPhi, phi_model}},
      {"gpt_neox", {Family::kNeox, neox_model}},
      {"olmo2", {Family::kOlmo, olmo_model}},
      {"gemma", {Family::kGemma, gemma_model}},
      {"gemma2", {Family::kGemma, gemma_model}},
      {"gemma3_text", {Family::kGemma, gemma_model}},
      {"bert", {Family::kBert, bert_model}},
      {"roberta", {Family::kRoberta, roberta_model}},
      {"distilbert", {Family::kDistilbert, distilbert_model}},
      {"t5", {Family::kT5, t5_model}},
      {"mt5", {Family::kT5, t5_model}},
      {"vit", {Family::kVit, vit_model}},
      {"deit", {Family::kDeit, deit_model}},
      {"swin", {Family::kSwin, swin_model}},
  };
  return kTypes;
}

const ModelType& type_of(const Json& config, const std::string& name) {
  const std::string type = JsonReader(config, name, Nulls::kAbsent).get_string("model_type");
  const auto known = model_types().find(type);
  if (known != model_types().end()) return known->second;
  refuse_feature(
      name, "model_type", "'" + type + "'",
      fmt::format("{}; supported are {} (docs/own_models.md)", foreign_family_hint(type, config),
                  fmt::join(model_type_names(), ", ")));
}

ModelSpec load_file(const fs::path& path, const ModelOverrides& overrides) {
  try {
    return model_from_config(read_json_file(path, mebibytes(16)), name_of(path), overrides);
  } catch (const ConfigError& error) {
    const std::string message = error.what();
    if (message.find(path.string()) != std::string::npos) throw;
    throw ConfigError(message, " (in ", path.string(), ")");
  }
}

}  // namespace

std::vector<std::string> model_type_names() {
  std::vector<std::string> out;
  for (const auto& [name, unused] : model_types()) out.push_back(name);
  return out;
}

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

ModelSpec load_model(const std::string& model, const ModelOverrides& overrides) {
  if (model.empty()) throw ConfigError("[model] no model is named; give a preset or a config.json");
  std::error_code error;
  const fs::path path = model;
  // What somebody has under a preset's name is what he means, as in transformers.
  const bool is_own = fs::exists(path / "config.json", error);
  if (is_preset(model) && !is_own) return load_file(preset_path(model), overrides);
  if (fs::is_directory(path, error)) return load_file(path / "config.json", overrides);
  if (fs::exists(path, error)) return load_file(path, overrides);
  throw ConfigError("[model] '", model, "' ", unknown_model_hint(model, preset_names()));
}

ModelSpec model_from_config(const Json& json, const std::string& name,
                            const ModelOverrides& overrides) {
  const ModelType& type = type_of(json, name);
  const NamedConfig adapted = override_config({json, name}, type.family, overrides);
  refuse_common_features(adapted.config, adapted.name);
  ModelSpec model = type.read(adapted.config, adapted.name);
  model.name = adapted.name;
  model.config = adapted.config;
  return model;
}

}  // namespace galvatron::spec
