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

[[noreturn]] void fail_value(const std::string& name, const std::string& text) {
  throw ConfigError("[search] '", text, "' is no value of ", name);
}

// One value of a dimension, in the bounds of its field.
struct Bounds {
  int least = 1;
  int most = std::numeric_limits<int>::max();
};

int parse_value(const std::string& name, const std::string& text, Bounds bounds, int) {
  const bool digits = !text.empty() && text.size() <= 9 &&
                      text.find_first_not_of("0123456789") == std::string::npos;
  const int value = digits ? std::stoi(text) : -1;
  if (value < bounds.least || value > bounds.most) fail_value(name, text);
  return value;
}

bool parse_value(const std::string& name, const std::string& text, Bounds, bool) {
  if (text != "true" && text != "false") fail_value(name, text);
  return text == "true";
}

plan::ScheduleKind parse_value(const std::string&, const std::string& text, Bounds,
                               plan::ScheduleKind) {
  const plan::ScheduleKind kind = plan::parse_schedule(text);
  if (plan::traits(kind).searched) return kind;
  throw ConfigError("[search] schedule ", text, " is none that a search chooses (",
                    fmt::format("{}", fmt::join(plan::searched_schedule_names(), ", ")),
                    "); give it in a plan or to train");
}

template <NamedEnum E>
E parse_value(const std::string&, const std::string& text, Bounds, E) {
  return parse_enum<E>(text);
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

// A constraint as it is written: "tp_degree<=2" or "recompute=none,full".
struct Constraint {
  std::string name;
  char sign = '=';
  std::string values;
  bool allow = true;  // else forbid
};

Constraint parse_constraint(const std::string& text, bool allow) {
  const std::size_t sign = text.find_first_of("<>=");
  if (sign == std::string::npos) {
    throw ConfigError("[search] constraint '", text,
                      "' has no value; write tp_degree=1,2 or "
                      "tp_degree<=2");
  }
  Constraint out{text.substr(0, sign), text[sign], text.substr(sign + 1), allow};
  if (out.sign == '=') return out;
  if (out.values.substr(0, 1) != "=") {
    throw ConfigError("[search] constraint '", text, "' must use <=, >= or =");
  }
  out.values.erase(0, 1);
  return out;
}

template <typename T>
void add_limit(const Constraint& constraint, Bounds bounds, Allowed<T>& allowed) {
  const std::string& name = constraint.name;
  if constexpr (!std::is_same_v<T, int>) {
    throw ConfigError("[search] ", name, " has no order; give values: ", name, "=...");
  } else {
    if (!constraint.allow) {
      throw ConfigError("[search] to forbid a range, allow the other one: ", name,
                        constraint.sign == '<' ? ">=" : "<=", "...");
    }
    (constraint.sign == '<' ? allowed.most : allowed.least) =
        parse_value(name, constraint.values, bounds, T{});
  }
}

template <typename T>
void add_to(const Constraint& constraint, Bounds bounds, Allowed<T>& allowed) {
  if (constraint.sign != '=') return add_limit(constraint, bounds, allowed);
  for (const std::string& word : split(constraint.values, ',')) {
    (constraint.allow ? allowed.only : allowed.never)
        .push_back(parse_value(constraint.name, word, bounds, T{}));
  }
}

// visit(name, bounds, allowed) for each dimension that a constraint can name.
template <class Visitor>
void for_each_named(SearchSpace& space, Visitor&& visit) {
  visit("pp_degree", Bounds{}, space.pp_degrees);
  for_each_dimension(space, [&](const auto& field, auto& allowed) {
    if (field.supported()) visit(field.name, Bounds{field.least, field.most}, allowed);
  });
  visit("schedule", Bounds{}, space.schedules);
  visit("num_microbatches", Bounds{}, space.num_microbatches);
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
  const bool near = space.allows(&plan::LayerStrategy::tp_consecutive, true);
  const bool far =
      space.allows(&plan::LayerStrategy::tp_consecutive, false) && (crosses_nodes || !near);
  for (const std::int64_t tp : divisors(ranks)) {
    if (!space.allows(&plan::LayerStrategy::tp_degree, static_cast<int>(tp))) continue;
    for (const std::int64_t ulysses : divisors(ranks / tp)) {
      if (!space.allows(&plan::LayerStrategy::ulysses_degree, static_cast<int>(ulysses))) continue;
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

// Of a strategy that has its ZeRO stage.
std::vector<int> shard_degrees(const SearchSpace& space, const plan::LayerStrategy& strategy,
                               int ranks, int ranks_per_node) {
  if (strategy.zero_stage == 0) return {0};
  const auto& allowed = space.of(&plan::LayerStrategy::shard_degree);
  const plan::RankLine replicas = plan::RankLayout(strategy, ranks).replica_line(true);
  std::vector<int> out;
  if (allowed.has(0)) out.push_back(0);
  for (const std::int64_t divisor : divisors(replicas.size)) {
    const int degree = static_cast<int>(divisor);
    const bool a_part = 1 < degree && degree < replicas.size;
    const bool a_node = degree * replicas.stride == ranks_per_node;
    const bool worth_it = (a_part && a_node) || allowed.names(degree);
    if (worth_it && allowed.has(degree)) out.push_back(degree);
  }
  return out;
}

// Where a layer cannot have every value it keeps the default whatever is allowed, so that
// "recompute=full" speaks of the others.
std::vector<plan::Recompute> allowed_recomputes(const SearchSpace& space, spec::LayerKind kind) {
  constexpr auto kAll = enum_values<plan::Recompute>();
  const auto fits = [&](plan::Recompute value) { return !plan::recompute_misfit(kind, value); };
  const bool any = std::all_of(kAll.begin(), kAll.end(), fits);
  std::vector<plan::Recompute> out;
  for (const plan::Recompute value : kAll) {
    const bool stays = !any && value == plan::LayerStrategy{}.recompute;
    const bool allowed = fits(value) && space.allows(&plan::LayerStrategy::recompute, value);
    if (stays || allowed) out.push_back(value);
  }
  return out;
}

}  // namespace

void add_constraint(SearchSpace& space, const std::string& text, bool allow) {
  const Constraint constraint = parse_constraint(text, allow);
  std::vector<std::string> names;
  bool known = false;
  for_each_named(space, [&](const char* name, Bounds bounds, auto& allowed) {
    names.emplace_back(name);
    if (constraint.name != name) return;
    known = true;
    add_to(constraint, bounds, allowed);
  });
  if (known) return;
  throw ConfigError("[search] '", constraint.name, "' is no dimension of the search (",
                    fmt::format("{}", fmt::join(names, ", ")), ")",
                    did_you_mean(constraint.name, names));
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
                                                               int ranks_per_node) {
  std::vector<std::vector<plan::LayerStrategy>> out(model.type_names().size());
  for (std::size_t type = 0; type < out.size(); ++type) {
    const spec::LayerSpec& layer =
        model.layers[static_cast<std::size_t>(model.first_layer_of_type(static_cast<int>(type)))];
    std::vector<plan::LayerStrategy> degrees;
    const std::int64_t shortest = shortest_sequence(model, static_cast<int>(type), seq_length);
    add_degrees(space, layer, ranks_per_stage, shortest, ranks_per_stage > ranks_per_node, degrees);
    const std::vector<plan::Recompute> recomputes = allowed_recomputes(space, layer.kind);
    for (const plan::LayerStrategy& one : degrees) {
      const bool shards = can_shard(layer, one, ranks_per_stage);
      for (int zero = 0; zero <= 3; ++zero) {
        if (!space.allows(&plan::LayerStrategy::zero_stage, zero)) continue;
        plan::LayerStrategy strategy = one;
        strategy.zero_stage = zero;
        for (const int shards : shard_degrees(space, strategy, ranks_per_stage, ranks_per_node)) {
          strategy.shard_degree = shards;
          for (const plan::Recompute recompute : recomputes) {
            strategy.recompute = recompute;
            out[type].push_back(strategy);
          }
        }
        // Next to nothing to shard: the first allowed stage stands for all.
        if (!shards) break;
      }
    }
  }
  return out;
}

}  // namespace galvatron::search
