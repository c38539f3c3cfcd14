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

// "bert" of "BertForMaskedLM", as configs of 2019 say it alone; empty: nothing of ours.
std::string type_of_architecture(const Json& config) {
  const auto named = config.find("architectures");
  if (named == config.end() || !named->is_array() || named->empty() || !(*named)[0].is_string())
    return "";
  const std::string architecture = lower_case((*named)[0].get<std::string>());
  std::string best;
  for (const auto& [type, unused] : model_types()) {
    std::string plain = type;
    std::erase(plain, '_');
    if (architecture.starts_with(plain) && plain.size() > best.size()) best = type;
  }
  return best;
}

// A config that says its model_type.
Json with_type(const Json& config) {
  if (!config.is_object() || config.contains("model_type")) return config;
  const std::string type = type_of_architecture(config);
  if (type.empty()) return config;
  Json out = config;
  out["model_type"] = type;
  return out;
}

// Files of other tools that are called config.json too.
void refuse_foreign_config(const Json& config, const std::string& name) {
  if (!config.is_object() || config.contains("model_type")) return;
  std::string what;
  if (config.contains("pretrained_cfg")) what = "of timm";
  if (config.contains("_class_name")) what = "of diffusers";
  if (config.contains("dim") && config.contains("n_layers"))
    what = "of LLaMA's makers (params.json)";
  if (config.contains("peft_type")) what = "of an adapter (LoRA)";
  if (what.empty()) return;
  throw ConfigError("[model] ", name, " is a config ", what,
                    ", not of transformers: get the model in transformers' form");
}

const ModelType& type_of(const Json& config, const std::string& name) {
  refuse_foreign_config(config, name);
  const std::string type = JsonReader(config, name, Nulls::kAbsent).get_string("model_type");
  const auto known = model_types().find(type);
  if (known != model_types().end()) return known->second;
  refuse_feature(
      name, "model_type", "'" + type + "'",
      fmt::format("{}; supported are {} (docs/own_models.md)", foreign_family_hint(type, config),
                  fmt::join(model_type_names(), ", ")));
}

// Without a config.json: other things that people call a model's folder.
[[noreturn]] void refuse_folder(const fs::path& folder) {
  const auto has = [&](const char* name) {
    std::error_code ignored;
    return fs::exists(folder / name, ignored);
  };
  std::string hint = "no config.json";
  if (has("snapshots")) {
    hint += "; it is a hub's cache: give the folder below its snapshots/";
  } else if (has("checkpoint.json")) {
    hint +=
        "; it is a checkpoint of a run: go on with --resume, or make a model's folder of it with "
        "galvatron export";
  } else if (has("adapter_config.json")) {
    hint +=
        "; it is an adapter (LoRA): merge it into its model with merge_and_unload() and "
        "save_pretrained()";
  } else if (has("params.json")) {
    hint +=
        "; it holds weights as their makers train them (params.json): get those that transformers "
        "reads, or convert them with its scripts";
  } else if (has("model_index.json")) {
    hint += "; it is a pipeline of several models: give the folder of one";
  }
  throw ConfigError("[model] the folder ", folder.string(), " has ", hint);
}

// Where huggingface_hub has put a model of this name.
std::string hub_cache_hint(const std::string& name) {
  const auto variable = [](const char* key) {
    const char* value = std::getenv(key);
    return std::string(value ? value : "");
  };
  fs::path hub = variable("HF_HUB_CACHE");
  if (hub.empty() && !variable("HF_HOME").empty()) hub = fs::path(variable("HF_HOME")) / "hub";
  if (hub.empty()) hub = fs::path(variable("HOME")) / ".cache" / "huggingface" / "hub";
  std::string folder = "models--";
  for (const char c : name) folder += c == '/' ? std::string("--") : std::string(1, c);
  std::error_code error;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(hub / folder / "snapshots", error)) {
    if (fs::exists(entry.path() / "config.json", error))
      return fmt::format("; the hub's cache has it: give {}", entry.path().string());
  }
  return "";
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
  if (fs::is_directory(path, error)) {
    if (!is_own) refuse_folder(path);
    return load_file(path / "config.json", overrides);
  }
  if (fs::exists(path, error)) return load_file(path, overrides);
  throw ConfigError("[model] '", model, "' ", unknown_model_hint(model, preset_names()),
                    hub_cache_hint(model));
}

ModelSpec model_from_config(const Json& asked, const std::string& name,
                            const ModelOverrides& overrides) {
  const Json json = with_type(asked);
  const ModelType& type = type_of(json, name);
  const NamedConfig adapted = override_config({json, name}, type.family, overrides);
  refuse_common_features(adapted.config, adapted.name);
  ModelSpec model = type.read(adapted.config, adapted.name);
  model.name = adapted.name;
  model.config = adapted.config;
  return model;
}

}  // namespace galvatron::spec
