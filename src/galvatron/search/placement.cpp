#include "galvatron/search/placement.h"

#include <algorithm>

namespace galvatron::search {
namespace {

bool is_no_worse(const cost::LayerCost& a, const cost::LayerCost& b) {
  return a.forward_ms <= b.forward_ms && a.backward_ms <= b.backward_ms &&
         a.forward_ms + a.backward_ms + a.once_ms <= b.forward_ms + b.backward_ms + b.once_ms;
}

// [layout]: is some candidate of it strided, and not replaced by its twin?
std::vector<char> needed_layouts(const cost::CostTables& tables) {
  std::vector<char> needed(tables.layouts.size(), 0);
  for (std::size_t type = 0; type < tables.candidates.size(); ++type) {
    const std::vector<plan::LayerStrategy>& row = tables.candidates[type];
    for (std::size_t id = 0; id < row.size(); ++id) {
      if (row[id].tp_consecutive) continue;
      plan::LayerStrategy twin = row[id];
      twin.tp_consecutive = true;
      const auto found = std::find(row.begin(), row.end(), twin);
      const cost::LayerCost& own = tables.cost[type][id];
      const auto at = static_cast<std::size_t>(found - row.begin());
      if (found != row.end() && is_no_worse(tables.cost[type][at], own)) continue;
      needed[static_cast<std::size_t>(own.layout)] = 1;
    }
  }
  return needed;
}

}  // namespace

void drop_useless_placements(cost::CostTables& tables) {
  const std::vector<char> needed = needed_layouts(tables);
  for (std::size_t type = 0; type < tables.candidates.size(); ++type) {
    std::vector<plan::LayerStrategy> candidates;
    std::vector<cost::LayerCost> costs;
    for (std::size_t id = 0; id < tables.candidates[type].size(); ++id) {
      const plan::LayerStrategy& one = tables.candidates[type][id];
      const cost::LayerCost& cost = tables.cost[type][id];
      if (!one.tp_consecutive && !needed[static_cast<std::size_t>(cost.layout)]) continue;
      candidates.push_back(one);
      costs.push_back(cost);
    }
    tables.candidates[type] = std::move(candidates);
    tables.cost[type] = std::move(costs);
  }
}

}  // namespace galvatron::search
