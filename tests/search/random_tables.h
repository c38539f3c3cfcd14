// Random cost tables, and every complete plan of them.
#pragma once
#include <algorithm>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include "galvatron/cost/cost_tables.h"
#include "galvatron/search/solvers/shape_solver.h"

namespace galvatron::search {

struct Random {
  std::mt19937_64 engine;
  int whole(int low, int high) { return std::uniform_int_distribution(low, high)(engine); }
  double real(double low, double high) { return std::uniform_real_distribution(low, high)(engine); }
};

inline cost::LayerCost random_cost(Random& random, int num_layouts) {
  cost::LayerCost one;
  one.forward_ms = random.real(0.2, 2);
  one.backward_ms = random.real(0.4, 4);
  one.once_ms = random.real(0, 3);
  one.state_bytes = random.whole(0, 30);
  one.activation_bytes = random.whole(0, 12);
  one.carried_bytes = random.whole(0, 1) * random.whole(0, 6);
  one.gathered_bytes = random.whole(0, 1) * random.whole(0, 20);
  one.reducing_bytes = random.whole(0, 1) * random.whole(0, 20);
  one.parameter_gradient_bytes = random.whole(0, 20);
  one.forward_workspace_bytes = random.whole(0, 15);
  one.backward_workspace_bytes = random.whole(0, 25);
  one.layout = random.whole(0, num_layouts - 1);
  return one;
}

// What the numbers are about; the numbers are small enough for ties to happen.
struct RandomModel {
  std::vector<int> types;  // of the layers
  int num_tied = 0;        // types 0 .. num_tied-1 share a weight
  int most_stages = 3;
  int fewest_candidates = 1, most_candidates = 4;  // per type
};

// Embedding, equal blocks, head.
inline RandomModel decoder_model(int blocks) {
  RandomModel model;
  model.types.assign(static_cast<std::size_t>(blocks) + 2, 1);
  model.types.front() = 0;
  model.types.back() = 2;
  return model;
}

// Layers of several kinds in any order, such as encoder, decoder and merging layers; sometimes
// two, three or all types share a weight.
inline RandomModel mixed_model(Random& random, int layers, int kinds) {
  RandomModel model;
  for (int i = 0; i < layers; ++i) {
    const bool again = i > 0 && random.whole(0, 2) == 0;
    model.types.push_back(again ? model.types.back() : random.whole(0, kinds - 1));
  }
  // Types are numbered in the order of appearance.
  std::vector<int> seen;
  for (int& type : model.types) {
    const auto it = std::find(seen.begin(), seen.end(), type);
    const int number = static_cast<int>(it - seen.begin());
    if (it == seen.end()) seen.push_back(type);
    type = number;
  }
  const int most = static_cast<int>(seen.size());
  if (most >= 2 && random.whole(0, 1) == 0) model.num_tied = random.whole(2, most);
  return model;
}

inline cost::CostTables random_tables(Random& random, const RandomModel& model) {
  cost::CostTables tables;
  const int layers = static_cast<int>(model.types.size());
  tables.shape.pp_degree = random.whole(1, std::min(model.most_stages, layers));
  tables.shape.ranks_per_stage = 4;
  tables.shape.num_microbatches = random.whole(1, 6);
  tables.shape.schedule =
      random.whole(0, 1) == 0 ? plan::ScheduleKind::kGPipe : plan::ScheduleKind::k1F1B;
  tables.type_of_layer = model.types;
  const int num_types = 1 + *std::max_element(model.types.begin(), model.types.end());
  const int layouts = random.whole(1, 3);
  for (int i = 0; i < layouts; ++i) tables.layouts.push_back({1 << i, 4 >> i});
  const int borders = random.whole(1, 3);
  for (int i = 0; i < borders; ++i) {
    cost::Border& border = tables.borders.emplace_back();
    for (int from = 0; from < layouts; ++from) {
      for (int to = 0; to < layouts; ++to) {
        border.transition_ms.push_back(from == to ? 0 : random.real(0, 0.6));
      }
    }
    // Some links set the pace.
    const double slowest = random.whole(0, 3) == 0 ? 3 : 0.3;
    border.transfer_ms = tables.shape.pp_degree > 1 ? random.real(0, slowest) : 0;
  }
  tables.reserve_bytes = random.whole(0, 10);
  for (int type = 0; type < num_types; ++type) {
    tables.border_behind.push_back(random.whole(0, borders - 1));
    if (type < model.num_tied) tables.tied_types.insert(type);
    auto& costs = tables.cost.emplace_back();
    auto& candidates = tables.candidates.emplace_back();
    const int count = random.whole(model.fewest_candidates, model.most_candidates);
    for (int i = 0; i < count; ++i) {
      costs.push_back(random_cost(random, layouts));
      // Groups of tied layers: few, so that some go together.
      candidates.push_back({.tp_degree = random.whole(1, 2)});
    }
  }
  return tables;
}

// Step time and fullest stage of one complete choice.
struct Evaluated {
  double step_ms = 0;
  std::int64_t bytes = 0;
};
// `flights`: of every stage of the tables' shape.
inline Evaluated evaluate(const cost::CostTables& tables,
                          const std::vector<std::vector<cost::FlightMoment>>& flights,
                          const std::vector<int>& choice,
                          const std::vector<int>& layers_per_stage) {
  Evaluated out;
  std::vector<cost::StageNumbers> numbers;
  std::int64_t begin = 0;
  for (int stage = 0; stage < tables.shape.pp_degree; ++stage) {
    const Range layers{begin, begin + layers_per_stage[static_cast<std::size_t>(stage)]};
    numbers.push_back(cost::stage_numbers(tables, choice, layers, stage));
    const auto& moments = flights[static_cast<std::size_t>(stage)];
    const std::span stages(&layers, 1);
    out.bytes =
        std::max(out.bytes, cost::rank_memory_peak(tables, choice, stages, moments).total());
    begin = layers.end;
  }
  out.step_ms = cost::pipeline_time_ms(tables.shape, numbers);
  return out;
}

// Calls visit(layers_per_stage) for every partition.
template <typename Visit>
void all_partitions(int layers, int stages, Visit visit, std::vector<int> sizes = {}) {
  if (stages == 1) {
    sizes.push_back(layers);
    visit(sizes);
    return;
  }
  for (int size = 1; size <= layers - (stages - 1); ++size) {
    auto more = sizes;
    more.push_back(size);
    all_partitions(layers - size, stages - 1, visit, more);
  }
}

// Do layers that share a weight have one group?
inline bool ties_hold(const cost::CostTables& tables, const std::vector<std::vector<int>>& groups,
                      const std::vector<int>& choice) {
  int common = -1;
  for (std::size_t i = 0; i < choice.size() && !groups.empty(); ++i) {
    const int group = groups[static_cast<std::size_t>(tables.type_of_layer[i])]
                            [static_cast<std::size_t>(choice[i])];
    if (group >= 0 && common >= 0 && group != common) return false;
    common = std::max(common, group);
  }
  return true;
}

// Calls visit(choice) for every choice of candidates that keeps the ties.
template <typename Visit>
void all_choices(const cost::CostTables& tables, Visit visit) {
  const auto groups = tied_groups(tables);
  std::vector<int> choice(tables.type_of_layer.size(), 0);
  while (true) {
    if (ties_hold(tables, groups, choice)) visit(choice);
    std::size_t i = 0;
    for (; i < choice.size(); ++i) {
      const auto type = static_cast<std::size_t>(tables.type_of_layer[i]);
      if (++choice[i] < static_cast<int>(tables.cost[type].size())) break;
      choice[i] = 0;
    }
    if (i == choice.size()) return;
  }
}

// The best plan of a shape over all its groups.
inline ShapeAnswer solve_shape(const ShapeQuestion& question,
                               double cutoff = std::numeric_limits<double>::infinity()) {
  ShapeAnswer best;
  for (const int group : question.groups()) {
    ShapeAnswer answer = ShapeSolver(question, group).solve(std::min(cutoff, best.step_ms));
    const bool complete = best.complete && answer.complete;
    if (answer.found()) best = std::move(answer);
    best.complete = complete;
  }
  return best;
}

inline std::int64_t least_bytes(const ShapeQuestion& question) {
  std::int64_t least = std::int64_t{1} << 60;
  for (const int group : question.groups()) {
    least = ShapeSolver(question, group).least_bytes(least);
  }
  return least;
}

}  // namespace galvatron::search
