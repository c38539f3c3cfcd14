#include "galvatron/spec/model_spec.h"

#include <algorithm>
#include <set>

#include "galvatron/base/error.h"

namespace galvatron::spec {

std::string to_text(Family family) { return family == Family::kGpt ? "gpt" : "llama"; }

std::string to_text(LayerKind kind) {
  switch (kind) {
    case LayerKind::kEmbedding:
      return "embedding";
    case LayerKind::kBlock:
      return "block";
    case LayerKind::kHead:
      return "head";
  }
  return "";
}

std::int64_t LayerSpec::num_params() const {
  std::int64_t total = 0;
  for (const ParamSpec& param : params) total += param.numel();
  return total;
}

std::string LayerSpec::full_name(const ParamSpec& param) const {
  return param.tied_name.empty() ? name + "." + param.name : param.tied_name;
}

std::int64_t ModelSpec::num_params() const {
  std::int64_t total = 0;
  std::set<std::string> seen;
  for (const LayerSpec& layer : layers) {
    for (const ParamSpec& param : layer.params) {
      if (seen.insert(layer.full_name(param)).second) total += param.numel();
    }
  }
  return total;
}

std::vector<std::string> ModelSpec::type_names() const {
  std::vector<std::string> names;
  for (const LayerSpec& layer : layers) {
    if (layer.type < static_cast<int>(names.size())) continue;
    const std::string base = to_text(layer.kind);
    std::string name = base;
    for (int n = 2; std::count(names.begin(), names.end(), name) > 0; ++n) {
      name = base + std::to_string(n);
    }
    names.push_back(name);
  }
  return names;
}

int ModelSpec::first_layer_of_type(int type) const {
  for (int i = 0; i < num_layers(); ++i) {
    if (layers[static_cast<std::size_t>(i)].type == type) return i;
  }
  GALV_CHECK(false, "no layer of type ", type, " in ", name);
  return -1;
}

}  // namespace galvatron::spec
