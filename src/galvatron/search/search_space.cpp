#include "galvatron/search/search_space.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/base/partition.h"
#include "galvatron/plan/check_plan.h"

namespace galvatron::search {
namespace {

bool contains(const std::vector<int>& values, int value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

const std::vector<std::string>& dimension_names() {
  static const std::vector<std::string> names = {
      "pp_degree",  "tp_degree", "tp_consecutive", "ulysses_degree",
      "zero_stage", "recompute", "schedule",       "num_microbatches"};
  return names;
}

Allowed& dimension(SearchSpace& space, const std::string& name) {
  if (name == "pp_degree") return space.pp_degrees;
  if (name == "tp_degree") return space.tp_degrees;
  if (name == "tp_consecutive") return space.tp_consecutive;
  if (name == "ulysses_degree") return space.ulysses_degrees;
  if (name == "zero_stage") return space.zero_stages;
  if (name == "recompute") return space.recomputes;
  if (name == "schedule") return space.schedules;
  if (name == "num_microbatches") return space.num_microbatches;
  throw ConfigError("[search] '", name, "' is no dimension of the search (",
                    fmt::format("{}", fmt::join(dimension_names(), ", ")), ")",
                    did_you_mean(name, dimension_names()));
}

int parse_searched_schedule(const std::string& text) {
  const plan::ScheduleKind kind = plan::parse_schedule(text);
  if (!plan::traits(kind).searched) {
    throw ConfigError("[search] schedule ", text, " is none that a search chooses (",
                      fmt::format("{}", fmt::join(plan::searched_schedule_names(), ", ")),
                      "); give it in a plan or to train");
  }
  return static_cast<int>(kind);
}

int parse_value(const std::string& name, const std::string& text) {
  if (name == "recompute") return static_cast<int>(plan::parse_recompute(text));
  if (name == "schedule") return parse_searched_schedule(text);
  if (name == "tp_consecutive" && (text == "true" || text == "false")) return text == "true";
  const bool digits = !text.empty() && text.size() <= 9 &&
                      text.find_first_not_of("0123456789") == std::string::npos;
  const int value = digits ? std::stoi(text) : -1;
  if (name == "tp_consecutive" || value < (name == "zero_stage" ? 0 : 1)) {
    throw ConfigError("[search] '", text, "' is no value of ", name);
  }
  return value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

void add_limit(Allowed& allowed, const std::string& name, char sign, int value, bool allow) {
  if (name == "recompute" || name == "schedule" || name == "tp_consecutive") {
    throw ConfigError("[search] ", name, " has no order; give values: ", name, "=...");
  }
  if (!allow) {
    throw ConfigError("[search] to forbid a range, allow the other one: ", name,
                      sign == '<' ? ">=" : "<=", "...");
  }
  (sign == '<' ? allowed.most : allowed.least) = value;
}

// Tokens of the shortest sequence that any layer of the type gets or makes.
std::int64_t shortest_sequence(const spec::ModelSpec& model, int type, std::int64_t seq_length) {
  std::int64_t shortest = std::numeric_limits<std::int64_t>::max();
  for (int i = 0; i < model.num_layers(); ++i) {
    if (model.layers[static_cast<std::size_t>(i)].type != type) continue;
    shortest = std::min(shortest, model.shortest_sequence(i, seq_length));
  }
  return shortest;
}

// Divides the ranks of a stage between TP and Ulysses in every way, TP ranks near or far.
void add_degrees(const SearchSpace& space, const spec::LayerSpec& layer, int ranks,
                 std::int64_t shortest, bool crosses_nodes, std::vector<plan::LayerStrategy>& out) {
  const bool near = space.tp_consecutive.has(1);
  const bool far = space.tp_consecutive.has(0) && (crosses_nodes || !near);
  for (const std::int64_t tp : divisors(ranks)) {
    if (!space.tp_degrees.has(static_cast<int>(tp))) continue;
    for (const std::int64_t ulysses : divisors(ranks / tp)) {
      if (!space.ulysses_degrees.has(static_cast<int>(ulysses))) continue;
      plan::LayerStrategy strategy;
      strategy.tp_degree = static_cast<int>(tp);
      strategy.ulysses_degree = static_cast<int>(ulysses);
      if (strategy.seq_degree() > shortest) continue;
      if (plan::check_layer_strategy(strategy, layer, ranks)) continue;
      const bool one_way = tp == 1 || tp == ranks;
      if (near || one_way) out.push_back(strategy);
      strategy.tp_consecutive = false;
      if (far && !one_way && (ulysses == 1 || !near)) out.push_back(strategy);
    }
  }
}

// Do ranks of the stage hold at least a hundredth of a block's parameters alike?
bool can_shard(const spec::LayerSpec& layer, const plan::LayerStrategy& strategy, int ranks) {
  if (ranks == 1) return false;
  if (strategy.tp_degree < ranks || layer.kind != spec::LayerKind::kBlock) return true;
  std::int64_t whole = 0;
  for (const spec::ParamSpec& param : layer.params) {
    if (!param.split.divided()) whole += param.numel();
  }
  constexpr std::int64_t kHundredth = 100;
  return whole * kHundredth >= layer.num_params();
}

}  // namespace

bool Allowed::has(int value) const {
  if (!only.empty() && !contains(only, value)) return false;
  if (contains(never, value)) return false;
  return (least == 0 || value >= least) && (most == 0 || value <= most);
}

void add_constraint(SearchSpace& space, const std::string& text, bool allow) {
  const std::size_t sign = text.find_first_of("<>=");
  if (sign == std::string::npos) {
    throw ConfigError("[search] constraint '", text,
                      "' has no value; write tp_degree=1,2 or "
                      "tp_degree<=2");
  }
  const std::string name = text.substr(0, sign);
  Allowed& allowed = dimension(space, name);
  if (text[sign] != '=') {
    if (text.substr(sign + 1, 1) != "=") {
      throw ConfigError("[search] constraint '", text, "' must use <=, >= or =");
    }
    add_limit(allowed, name, text[sign], parse_value(name, text.substr(sign + 2)), allow);
    return;
  }
  for (const std::string& word : split(text.substr(sign + 1), ',')) {
    (allow ? allowed.only : allowed.never).push_back(parse_value(name, word));
  }
}

std::vector<int> pipeline_degrees(const SearchSpace& space, int world_size, int num_layers) {
  std::vector<int> out;
  for (const std::int64_t degree : divisors(world_size)) {
    if (degree <= num_layers && space.pp_degrees.has(static_cast<int>(degree))) {
      out.push_back(static_cast<int>(degree));
    }
  }
  return out;
}

std::vector<int> microbatch_counts(const SearchSpace& space, std::int64_t global_batch) {
  std::vector<int> out;
  if (!space.num_microbatches.only.empty()) {
    out = space.num_microbatches.only;
  } else {
    for (std::int64_t size = global_batch; size >= 1;) {
      const std::int64_t count = largest_chunk(global_batch, size);
      out.push_back(static_cast<int>(count));
      size = largest_chunk(global_batch, count) - 1;
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  std::erase_if(
      out, [&](int count) { return count > global_batch || !space.num_microbatches.has(count); });
  return out;
}

std::vector<std::vector<plan::LayerStrategy>> layer_candidates(const SearchSpace& space,
                                                               const spec::ModelSpec& model,
                                                               int ranks_per_stage,
                                                               std::int64_t seq_length,
                                                               bool crosses_nodes) {
  std::vector<std::vector<plan::LayerStrategy>> out(model.type_names().size());
  for (std::size_t type = 0; type < out.size(); ++type) {
    const spec::LayerSpec& layer =
        model.layers[static_cast<std::size_t>(model.first_layer_of_type(static_cast<int>(type)))];
    std::vector<plan::LayerStrategy> degrees;
    const std::int64_t shortest = shortest_sequence(model, static_cast<int>(type), seq_length);
    add_degrees(space, layer, ranks_per_stage, shortest, crosses_nodes, degrees);
    for (const plan::LayerStrategy& one : degrees) {
      const bool shards = can_shard(layer, one, ranks_per_stage);
      for (int zero = 0; zero <= 3; ++zero) {
        if (!space.zero_stages.has(zero)) continue;
        for (int recompute = 0; recompute < 3; ++recompute) {
          plan::LayerStrategy strategy = one;
          strategy.zero_stage = zero;
          strategy.recompute = static_cast<plan::Recompute>(recompute);
          // Recomputing is a question for blocks only.
          const bool block = layer.kind == spec::LayerKind::kBlock;
          const bool merge_whole = layer.kind == spec::LayerKind::kMerge && recompute == 2;
          if (block || merge_whole ? !space.recomputes.has(recompute) : recompute > 0) continue;
          out[type].push_back(strategy);
        }
        // Next to nothing to shard: the first allowed stage stands for all.
        if (!shards) break;
      }
    }
  }
  return out;
}

}  // namespace galvatron::search
