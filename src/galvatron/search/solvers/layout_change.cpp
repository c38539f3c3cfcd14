#include "galvatron/search/solvers/layout_change.h"

#include <algorithm>
#include <utility>

namespace galvatron::search {
namespace {

std::vector<double> detours(const std::vector<double>& time, std::size_t n) {
  std::vector<double> out(n * n, 0);
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b < n; ++b) {
      for (std::size_t from = 0; from < n; ++from) {
        out[a * n + b] = std::max(out[a * n + b], time[from * n + a] - time[from * n + b]);
      }
    }
  }
  return out;
}

void raise(std::vector<double>& to, const std::vector<double>& from) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = std::max(to[i], from[i]);
}

}  // namespace

LayoutChanges::LayoutChanges(int num_layouts, std::vector<LayoutChange> changes,
                             std::vector<int> border_behind)
    : num_layouts_(num_layouts),
      changes_(std::move(changes)),
      border_behind_(std::move(border_behind)) {
  const auto n = static_cast<std::size_t>(num_layouts);
  anywhere_.detour.assign(n * n, 0);
  anywhere_.detour2 = anywhere_.detour;
  for (LayoutChange& change : changes_) {
    change.detour = detours(change.time, n);
    change.detour2 = detours(change.time2, n);
    raise(anywhere_.detour, change.detour);
    raise(anywhere_.detour2, change.detour2);
  }
}

}  // namespace galvatron::search
