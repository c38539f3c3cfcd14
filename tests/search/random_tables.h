// Random cost tables and the exhaustive search over them.
#pragma once
#include <limits>
#include <random>
#include <vector>

#include "galvatron/cost/cost_tables.h"

namespace galvatron::search {

struct Random {
  std::mt19937_64 engine;
  int whole(int low, int high) { return std::uniform_int_distribution(low, high)(engine); }
  double real(double low, double high) { return std::uniform_real_distribution(low, high)(engine); }
};

// Embedding, `blocks` equal layers, head; the numbers are small enough for ties to happen.
inline cost::CostTables random_tables(Random& random, int blocks, int most_candidates) {
  cost::CostTables tables;
  tables.shape.pp_degree = random.whole(1, std::min(3, blocks + 2));
  tables.shape.ranks_per_stage = 4;
  tables.shape.num_microbatches = random.whole(1, 6);
  tables.shape.schedule =
      random.whole(0, 2) == 0 ? plan::ScheduleKind::kGPipe : plan::ScheduleKind::k1F1B;
  tables.type_of_layer.assign(static_cast<std::size_t>(blocks) + 2, 1);
  tables.type_of_layer.front() = 0;
  tables.type_of_layer.back() = 2;
  const int layouts = random.whole(1, 3);
  for (int i = 0; i < layouts; ++i) tables.layouts.push_back({1 << i, 4 >> i});
  for (int from = 0; from < layouts; ++from) {
    for (int to = 0; to < layouts; ++to) {
      tables.transition_ms.push_back(from == to ? 0 : random.real(0, 0.6));
    }
  }
  tables.border_ms = random.real(0, 0.3);
  tables.reserve_bytes = random.whole(0, 10);
  for (int type = 0; type < 3; ++type) {
    auto& costs = tables.cost.emplace_back();
    auto& candidates = tables.candidates.emplace_back();
    const int count = random.whole(1, most_candidates);
    for (int i = 0; i < count; ++i) {
      cost::LayerCost one;
      one.forward_ms = random.real(0.2, 2);
      one.backward_ms = random.real(0.4, 4);
      one.once_ms = random.real(0, 3);
      one.state_bytes = random.whole(0, 30);
      one.activation_bytes = random.whole(0, 12);
      one.gathered_bytes = random.whole(0, 1) * random.whole(0, 20);
      one.reducing_bytes = random.whole(0, 1) * random.whole(0, 20);
      one.parameter_gradient_bytes = random.whole(0, 20);
      one.forward_workspace_bytes = random.whole(0, 15);
      one.backward_workspace_bytes = random.whole(0, 25);
      one.layout = random.whole(0, layouts - 1);
      costs.push_back(one);
      candidates.push_back({});
    }
  }
  return tables;
}

// Step time and fullest stage of one complete choice.
struct Evaluated {
  double step_ms = 0;
  std::int64_t bytes = 0;
};
inline Evaluated evaluate(const cost::CostTables& tables, const std::vector<int>& choice,
                          const std::vector<int>& layers_per_stage) {
  Evaluated out;
  std::vector<cost::StageNumbers> numbers;
  std::int64_t begin = 0;
  for (int stage = 0; stage < tables.shape.pp_degree; ++stage) {
    const Range layers{begin, begin + layers_per_stage[static_cast<std::size_t>(stage)]};
    numbers.push_back(cost::stage_numbers(tables, choice, layers, stage));
    out.bytes = std::max(out.bytes, cost::stage_memory_peak(tables, choice, layers, stage).total());
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

// Calls visit(choice) for every choice of candidates.
template <typename Visit>
void all_choices(const cost::CostTables& tables, Visit visit) {
  std::vector<int> choice(tables.type_of_layer.size(), 0);
  while (true) {
    visit(choice);
    std::size_t i = 0;
    for (; i < choice.size(); ++i) {
      const auto type = static_cast<std::size_t>(tables.type_of_layer[i]);
      if (++choice[i] < static_cast<int>(tables.cost[type].size())) break;
      choice[i] = 0;
    }
    if (i == choice.size()) return;
  }
}

}  // namespace galvatron::search
