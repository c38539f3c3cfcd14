#include "galvatron/plan/layer_strategy.h"

#include <algorithm>
#include <vector>

#include "galvatron/base/error.h"

namespace galvatron::plan {

const std::vector<std::string>& recompute_names() {
  static const std::vector<std::string> names = {"none", "selective", "full"};
  return names;
}

std::string to_text(Recompute recompute) {
  return recompute_names()[static_cast<std::size_t>(recompute)];
}

Recompute parse_recompute(const std::string& text) {
  const auto& names = recompute_names();
  const auto it = std::find(names.begin(), names.end(), text);
  if (it == names.end()) {
    throw ConfigError("[recompute] '", text, "' is not one of none, selective, full",
                      did_you_mean(text, names));
  }
  return static_cast<Recompute>(it - names.begin());
}

bool split_parameters_alike(const LayerStrategy& a, const LayerStrategy& b) {
  return a.tp_degree == b.tp_degree && a.zero_stage == b.zero_stage &&
         a.tp_consecutive == b.tp_consecutive;
}

std::string to_text(const LayerStrategy& strategy) {
  std::string out;
  const auto add = [&](const std::string& word) { out += (out.empty() ? "" : " ") + word; };
  const auto add_degree = [&](const char* word, int degree) {
    if (degree != 1) add(word + std::to_string(degree));
  };
  add_degree("tp", strategy.tp_degree);
  if (!strategy.tp_consecutive) out += out.empty() ? "strided" : "-strided";
  add_degree("uly", strategy.ulysses_degree);
  add_degree("cp", strategy.cp_degree);
  add_degree("ep", strategy.ep_degree);
  if (strategy.zero_stage != 0) add("zero" + std::to_string(strategy.zero_stage));
  if (strategy.recompute != Recompute::kNone) add(to_text(strategy.recompute));
  return out.empty() ? "dp" : out;
}

}  // namespace galvatron::plan
