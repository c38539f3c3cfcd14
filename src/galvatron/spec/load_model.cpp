#include <algorithm>
#include <cstdlib>

#include "galvatron/base/error.h"
#include "galvatron/spec/decoder_config.h"
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
  std::error_code error;
  const fs::path binary = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* place : {"../../../configs", "../share/galvatron/configs"}) {
    const fs::path candidate = (binary / place).lexically_normal();
    if (!error && fs::is_directory(candidate / "models", error)) return candidate;
    error.clear();
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
  JsonReader reader(json, name);
  const std::string type = reader.get_string("model_type");
  refuse_common_features(json, name);
  DecoderConfig config;
  if (type == "gpt2") {
    config = read_gpt_config(json, name);
  } else if (type == "llama" || type == "mistral" || type == "qwen2") {
    config = read_llama_config(json, name);
  } else if (type == "qwen3") {
    refuse_feature(name, "model_type", "'qwen3'",
                   ": its attention normalises queries and keys; use a qwen2 or llama model");
  } else {
    refuse_feature(name, "model_type", "'" + type + "'",
                   "; supported are gpt2, llama, mistral and qwen2");
  }
  ModelSpec model;
  model.name = name;
  model.family = config.family;
  model.vocab_size = config.vocab_size;
  model.max_positions = config.max_positions;
  model.tied_embeddings = config.tied_embeddings;
  model.layers = decoder_layers(config);
  model.config = json;
  return model;
}

}  // namespace galvatron::spec
