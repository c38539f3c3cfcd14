#include "galvatron/search/solvers/layer_bounds.h"

#include <algorithm>

namespace galvatron::search {
namespace {

double scalar(const LayerOption& option, double once_share) {
  return option.time + option.time2 + once_share * option.once;
}

}  // namespace

StageBounds::StageBounds(const StageProblem& problem, const std::vector<StageCap>& caps, bool drop)
    : problem_(problem), options_(problem.options), least_alone_(least_alone()) {
  for (const StageCap& cap : caps) {
    ToGo one;
    one.once_share = cap.once_share;
    one.limit = cap.limit;
    one.price = relaxed(cap.once_share).price;
    to_go_.push_back(std::move(one));
  }
  if (drop) drop_options();
  for (ToGo& one : to_go_) {
    fill(one);
    if (drop && one.limit < kInfinity) fill_relaxed(one);
  }
}

// Of the first cap's cost.
double StageBounds::bound() const {
  const ToGo& one = to_go_.front();
  const double total = one.cost.back();
  if (total == kInfinity || relaxed(one.once_share).cost == kInfinity) return kInfinity;
  return total - one.price * capacity();
}

// At its last layer a stage needs beside the sum of weights at least this.
std::int64_t StageBounds::least_alone() const {
  constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();
  std::int64_t least = kNone;
  const int type = problem_.types.back();
  for (const LayerOption& option : options_of(type)) {
    least = std::min(least, problem_.transient(type, option.id, -1, -1).alone());
  }
  return least == kNone ? 0 : std::max<std::int64_t>(least, 0);
}

// [type], of those that the stage has.
std::vector<LowerHull> StageBounds::hulls(double once_share) const {
  std::vector<LowerHull> out(options_.size());
  for (std::size_t type = 0; type < options_.size(); ++type) {
    const int name = static_cast<int>(type);
    if (std::find(problem_.types.begin(), problem_.types.end(), name) == problem_.types.end()) {
      continue;
    }
    std::vector<WeightedCost> points;
    for (const LayerOption& option : options_[type]) {
      points.push_back({static_cast<double>(option.weight()), scalar(option, once_share)});
    }
    out[type] = LowerHull(std::move(points));
  }
  return out;
}

Relaxed StageBounds::relaxed(double once_share) const {
  const std::vector<LowerHull> of_type = hulls(once_share);
  std::vector<HullCount> items(options_.size());
  for (std::size_t type = 0; type < items.size(); ++type) items[type].hull = &of_type[type];
  for (const int type : problem_.types) ++items[static_cast<std::size_t>(type)].count;
  return relax(items, capacity());
}

void StageBounds::fill_relaxed(ToGo& out) const {
  const std::vector<LowerHull> of_type = hulls(out.once_share);
  std::vector<HullCount> items(options_.size());
  for (std::size_t type = 0; type < items.size(); ++type) items[type].hull = &of_type[type];
  for (const int type : problem_.types) {
    out.relaxed.emplace_back(items);
    ++items[static_cast<std::size_t>(type)].count;
  }
}

// Options whose single use already breaks a cap.
void StageBounds::drop_options() {
  for (const ToGo& one : to_go_) {
    if (one.limit == kInfinity) continue;
    const auto priced = [&](const LayerOption& option) {
      return scalar(option, one.once_share) + one.price * static_cast<double>(option.weight());
    };
    double least = -one.price * capacity();
    std::vector<double> best(options_.size(), kInfinity);
    for (const int type : problem_.types) {
      double& low = best[static_cast<std::size_t>(type)];
      if (low == kInfinity) {
        for (const LayerOption& option : options_of(type)) low = std::min(low, priced(option));
      }
      least += low;
    }
    for (std::size_t type = 0; type < options_.size(); ++type) {
      std::erase_if(options_[type], [&](const LayerOption& option) {
        return best[type] < kInfinity &&
               least + priced(option) - best[type] > one.limit * (1 + kRounding);
      });
    }
  }
}

// By how many layers are in front: the cheapest way through them, transitions included.
void StageBounds::fill(ToGo& out) const {
  const auto layouts = static_cast<std::size_t>(problem_.changes->num_layouts());
  const std::size_t n = problem_.types.size();
  // through[to]: layers so far, the last of them in layout `to`.
  std::vector<double> through(layouts, kInfinity);
  out.cost.assign((n + 1) * layouts, 0);
  for (std::size_t layer = 0; layer < n; ++layer) {
    std::vector<double> next(layouts, kInfinity);
    for (const LayerOption& option : options_of(problem_.types[layer])) {
      const auto to = static_cast<std::size_t>(option.layout);
      const double before = layer == 0 ? 0 : out.cost[layer * layouts + to];
      next[to] = std::min(next[to], before + scalar(option, out.once_share) +
                                        out.price * static_cast<double>(option.weight()));
    }
    through = next;
    const LayoutChange& change = problem_.changes->behind(problem_.types[layer]);
    for (std::size_t behind = 0; behind < layouts; ++behind) {
      double& least = out.cost[(layer + 1) * layouts + behind];
      least = kInfinity;
      for (std::size_t at = 0; at < layouts; ++at) {
        const std::size_t pair = at * layouts + behind;
        const double moved = layer + 1 == n ? 0 : change.time[pair] + change.time2[pair];
        least = std::min(least, through[at] + moved);
      }
    }
  }
}

}  // namespace galvatron::search
