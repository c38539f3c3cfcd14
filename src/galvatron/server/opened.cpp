#include "galvatron/server/opened.h"

#include <array>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/galvatron2/plan.h"
#include "galvatron/galvatron2/plan_file.h"
#include "galvatron/profiles/cluster.h"
#include "galvatron/profiles/hardware_profile.h"
#include "galvatron/profiles/model_profile.h"
#include "galvatron/server/questions.h"
#include "galvatron/spec/model_spec.h"
#include "galvatron/views/run_view.h"

namespace galvatron::server {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFile = "config.json";

std::string plan_title(const Json& json, const std::string& name) {
  const plan::Plan plan = plan::plan_from_json(json, name);
  return fmt::format("plan for {} on {}", plan.model.empty() ? "a model" : plan.model,
                     count_text(plan.world_size, "rank"));
}

std::string galvatron2_title(const Json& json, const std::string& name) {
  // Without its ranks an older file is read once it is known what is asked of it.
  if (!json.contains("world_size")) return "Galvatron-2's plan, which does not say its ranks";
  const galvatron2::Plan plan = galvatron2::plan_from_json(json, name);
  return fmt::format("Galvatron-2's plan for {} on {}",
                     count_text(std::ssize(plan.layers), "layer"),
                     count_text(plan.world_size, "rank"));
}

std::string model_title(const Json& json, const std::string& name) {
  const spec::ModelSpec model = spec::model_from_config(json, name);
  return fmt::format("{}, {} parameters", name,
                     amount_text(static_cast<double>(model.num_params())));
}

std::string hardware_title(const Json& json, const std::string& name) {
  const auto profile = profiles::hardware_profile_from_json(json, name);
  return fmt::format("measured machine: {} of {}", count_text(profile.world_size, "rank"),
                     profile.device);
}

std::string profile_title(const Json& json, const std::string& name) {
  const auto profile = profiles::model_profile_from_json(json, name);
  return fmt::format("measured model: {}, {} tokens a sample, {}", profile.model,
                     profile.seq_length, spec::to_text(profile.precision));
}

std::string cluster_title(const Json& json, const std::string& name) {
  const spec::ClusterSpec cluster = profiles::cluster_from_json(json, name).spec;
  return fmt::format("cluster {}: {} x {} of {}", cluster.name,
                     count_text(cluster.num_nodes, "node"), cluster.devices_per_node,
                     cluster.device);
}

bool has_format(const Json& json, const char* format) {
  const Json* found = json.is_object() ? find_value(json, "format") : nullptr;
  return found != nullptr && *found == format;
}

struct Kind {
  const char* name;
  bool (*is)(const Json& json);
  std::string (*title)(const Json& json, const std::string& name);
};
constexpr std::array kKinds = {
    Kind{"plan", [](const Json& json) { return has_format(json, "galvatron-plan"); }, &plan_title},
    Kind{"galvatron2_plan", &galvatron2::is_galvatron2_plan, &galvatron2_title},
    Kind{"hardware_profile",
         [](const Json& json) { return has_format(json, "galvatron-hardware-profile"); },
         &hardware_title},
    Kind{"model_profile",
         [](const Json& json) { return has_format(json, "galvatron-model-profile"); },
         &profile_title},
    Kind{"cluster", [](const Json& json) { return has_format(json, "galvatron-cluster"); },
         &cluster_title},
    Kind{"model_config",
         [](const Json& json) { return json.is_object() && json.contains("model_type"); },
         &model_title},
};

OrderedJson identify_file(const std::string& name, const std::string& text) {
  Json json = parse_content(text, name);
  for (const Kind& kind : kKinds) {
    if (!kind.is(json)) continue;
    const std::string title = kind.title(json, name);
    return {{"kind", kind.name}, {"name", name}, {"title", title}, {"content", std::move(json)}};
  }
  throw ConfigError("[file] ", name,
                    " is no plan (of ours or of Galvatron-2's), profile, cluster, config.json of a "
                    "model or folder of a run");
}

OrderedJson identify_run(const std::string& name, const FileTexts& files) {
  OrderedJson view = views::run_view(views::read_run({name, files, std::nullopt}));
  const OrderedJson title = view["title"];
  return {{"kind", "run"}, {"name", name}, {"title", title}, {"content", std::move(view)}};
}

std::string text_of(const fs::path& path, Bytes& left) {
  std::error_code error;
  const auto size = static_cast<std::int64_t>(fs::file_size(path, error));
  if (error) throw ConfigError("[file] cannot read ", path.string(), ": ", error.message());
  left -= Bytes{size};
  if (left.value < 0) throw ConfigError("[file] ", path.string(), " is too large for the page");
  std::ifstream in(path, std::ios::binary);
  if (!in) throw ConfigError("[file] cannot read ", path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

OrderedJson identify(const std::string& name, const FileTexts& files) {
  if (files.contains(views::kRunMetrics)) return identify_run(name, files);
  if (files.size() == 1) return identify_file(name, files.begin()->second);
  const auto config = files.find(kConfigFile);
  if (config != files.end()) return identify_file(name, config->second);
  throw ConfigError("[file] the folder ", name, " holds no ", kConfigFile, " and no run");
}

FileTexts read_texts(const fs::path& path, Bytes limit) {
  std::error_code error;
  Bytes left = limit;
  if (!fs::is_directory(path, error)) {
    return {{path.filename().string(), text_of(path, left)}};
  }
  if (fs::exists(path / views::kRunMetrics, error)) return views::read_run_texts(path).files;
  if (!fs::is_regular_file(path / kConfigFile, error)) return {};
  return {{kConfigFile, text_of(path / kConfigFile, left)}};
}

}  // namespace galvatron::server
