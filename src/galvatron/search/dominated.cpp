#include "galvatron/search/dominated.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "galvatron/search/solvers/shape_question.h"

namespace galvatron::search {
namespace {

bool is_no_more(const cost::LayerCost& a, const cost::LayerCost& b) {
  return a.forward_ms <= b.forward_ms && a.backward_ms <= b.backward_ms && a.once_ms <= b.once_ms &&
         a.state_bytes <= b.state_bytes && a.activation_bytes <= b.activation_bytes &&
         a.small_activation_bytes <= b.small_activation_bytes &&
         a.carried_bytes <= b.carried_bytes && a.small_carried_bytes <= b.small_carried_bytes &&
         passes_with_no_more(a, b);
}

// Ascending ids of the row that stay. `group`: of its candidates; empty when all go together.
std::vector<std::size_t> needed_ids(const std::vector<cost::LayerCost>& row,
                                    const std::vector<int>& group) {
  const auto kind = [&](std::size_t id) {
    return std::pair(row[id].layout, group.empty() ? -1 : group[id]);
  };
  const auto key = [&](std::size_t id) {
    return std::tuple(kind(id), row[id].forward_ms, row[id].backward_ms, row[id].once_ms,
                      row[id].state_bytes, row[id].activation_bytes, id);
  };
  std::vector<std::size_t> order(row.size());
  for (std::size_t id = 0; id < row.size(); ++id) order[id] = id;
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  // Sorted, only earlier ones of the same kind can be no more in everything.
  std::vector<std::size_t> kept;
  std::size_t first = 0;  // of the same kind
  for (const std::size_t id : order) {
    if (!kept.empty() && kind(kept.back()) != kind(id)) first = kept.size();
    const bool dominated =
        std::any_of(kept.begin() + static_cast<std::ptrdiff_t>(first), kept.end(),
                    [&](std::size_t other) { return is_no_more(row[other], row[id]); });
    if (!dominated) kept.push_back(id);
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

template <typename T>
void keep_only(const std::vector<std::size_t>& ids, std::vector<T>& row) {
  for (std::size_t i = 0; i < ids.size(); ++i) row[i] = row[ids[i]];
  row.resize(ids.size());
}

}  // namespace

void drop_dominated(cost::CostTables& tables) {
  const std::vector<std::vector<int>> groups = tied_groups(tables);
  for (std::size_t type = 0; type < tables.cost.size(); ++type) {
    const std::vector<int> none;
    const auto ids = needed_ids(tables.cost[type], groups.empty() ? none : groups[type]);
    keep_only(ids, tables.cost[type]);
    keep_only(ids, tables.candidates[type]);
  }
}

}  // namespace galvatron::search
