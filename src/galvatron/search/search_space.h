// Which plans a search considers: what the user allows, what the model and the ranks allow.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "galvatron/plan/layer_strategy.h"
#include "galvatron/plan/schedule.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::search {

// One dimension of the search: everything, unless `only` is not empty; never what `never` holds.
template <typename T>
struct Allowed {
  std::vector<T> only;
  std::vector<T> never;
  std::optional<T> least, most;  // of numbers

  bool names(T value) const { return holds(only, value); }
  bool has(T value) const {
    if ((!only.empty() && !names(value)) || holds(never, value)) return false;
    return (!least || value >= *least) && (!most || value <= *most);
  }

 private:
  static bool holds(const std::vector<T>& values, T value) {
    return std::find(values.begin(), values.end(), value) != values.end();
  }
};

struct SearchSpace {
  // One for each field of a strategy, in the order of their table.
  decltype(std::apply(
      []<typename... T>(const plan::StrategyField<T>&...) { return std::tuple<Allowed<T>...>{}; },
      plan::kStrategyFields)) fields;
  Allowed<int> pp_degrees;
  Allowed<plan::ScheduleKind> schedules;
  Allowed<int> num_microbatches;
  bool uneven_stages = true;  // else balanced chunks of the layers

  // allows(&plan::LayerStrategy::tp_degree, 4)
  template <typename T>
  bool allows(T plan::LayerStrategy::* member, T value) const {
    return of(member).has(value);
  }
  template <typename T>
  const Allowed<T>& of(T plan::LayerStrategy::* member) const;
};

// visit(field, its Allowed) for each field of a strategy.
template <class Space, class Visitor>
void for_each_dimension(Space& space, Visitor&& visit) {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (visit(std::get<I>(plan::kStrategyFields), std::get<I>(space.fields)), ...);
  }(std::make_index_sequence<std::tuple_size_v<decltype(plan::kStrategyFields)>>());
}

template <typename T>
const Allowed<T>& SearchSpace::of(T plan::LayerStrategy::* member) const {
  const Allowed<T>* found = nullptr;
  for_each_dimension(*this, [&](const auto& field, const auto& dimension) {
    if constexpr (std::is_same_v<decltype(field.standard()), T>) {
      if (field.member == member) found = &dimension;
    }
  });
  return *found;
}

// Adds one constraint of the command line: "tp_degree=1,2", "tp_degree<=2", "recompute=full".
// `allow`: the values are the only ones (or the limit holds); else they are forbidden. ConfigError.
void add_constraint(SearchSpace& space, const std::string& text, bool allow);

// Divisors of the world that are at most the number of layers, ascending.
std::vector<int> pipeline_degrees(const SearchSpace& space, int world_size, int num_layers);

// For every size that a largest microbatch can have, the fewest microbatches of at most that size,
// ascending: more of the same size only add work. Values of `only` are taken as they are.
std::vector<int> microbatch_counts(const SearchSpace& space, std::int64_t global_batch);

// [type]: every strategy that check_layer_strategy() accepts for a stage of so many ranks.
// Where TP takes all ranks ZeRO could shard little more than norms: only its lowest allowed stage
// is a candidate there. TP on ranks that are no neighbours only where the stage crosses nodes
// (inside one all links are taken to be alike) and without Ulysses, or where nothing else is
// allowed. ZeRO over a part of the replicas where the part fills a node and all of them are more,
// or where the user names the degree.
std::vector<std::vector<plan::LayerStrategy>> layer_candidates(const SearchSpace& space,
                                                               const spec::ModelSpec& model,
                                                               int ranks_per_stage,
                                                               std::int64_t seq_length,
                                                               int ranks_per_node);

}  // namespace galvatron::search
