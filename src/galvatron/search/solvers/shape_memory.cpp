// The leanest plan of a shape: what a search says when nothing fits.
#include <algorithm>
#include <limits>
#include <map>

#include "galvatron/search/solvers/shape_solver.h"

namespace galvatron::search {

template <typename OfStage>
std::int64_t ShapeSolver::least_peak(std::int64_t cutoff, OfStage of_stage) const {
  const int n = num_layers(), p = num_stages();
  std::vector<std::int64_t> least(static_cast<std::size_t>(n) + 1, cutoff);
  least.back() = 0;
  for (int stage = p - 1; stage >= 0; --stage) {
    std::vector<std::int64_t> next(least.size(), cutoff);
    for (int end = n - (p - 1 - stage); end > stage; --end) {
      const std::int64_t behind = least[static_cast<std::size_t>(end)];
      if (behind >= cutoff) continue;
      for (int begin = end - 1; begin >= stage; --begin) {
        if (!allowed_stage(stage, begin, end)) continue;
        auto& best = next[static_cast<std::size_t>(begin)];
        const std::int64_t bytes = of_stage(stage, begin, end);
        best = std::min(best, std::max(bytes, behind));
        if (bytes >= cutoff) break;  // more layers need even more
      }
    }
    least = std::move(next);
  }
  return least[0];
}

std::int64_t ShapeSolver::least_bytes_bound() const {
  std::map<int, std::vector<std::int64_t>> lightest;  // [in flight][type]
  return least_peak(std::numeric_limits<std::int64_t>::max(), [&](int stage, int begin, int end) {
    const int q = question_.in_flight(stage);
    auto [row, added] = lightest.try_emplace(q);
    if (added) {
      for (const auto& options : question_.make_options(group_, q, false)) {
        auto& least =
            row->second.emplace_back(std::numeric_limits<std::int64_t>::max() / (num_layers() + 1));
        for (const LayerOption& option : options) least = std::min(least, option.weight());
      }
    }
    const auto& counts = ranges().counts(ranges().kind(begin, end));
    std::int64_t bytes = tables().reserve_bytes;
    for (std::size_t type = 0; type < counts.size(); ++type) {
      bytes += counts[type] * row->second[type];
    }
    return bytes;
  });
}

std::int64_t ShapeSolver::least_bytes(std::int64_t cutoff) const {
  if (least_bytes_bound() >= cutoff) return cutoff;
  std::map<int, ShapeQuestion::Options> lean;
  std::map<std::pair<int, int>, std::int64_t> known;
  return least_peak(cutoff, [&](int stage, int begin, int end) {
    const int q = question_.in_flight(stage);
    const int range_kind = ranges().kind(begin, end);
    auto [bytes, added] = known.try_emplace({q, range_kind});
    if (!added) return bytes->second;
    auto [of, first] = lean.try_emplace(q);
    if (first) of->second = question_.make_options(group_, q, false);
    StageProblem question = problem(of->second, range_kind);
    const std::int64_t beside =
        tables().reserve_bytes +
        tables().receive_bytes(question.types.front(), question.types.back());
    question.capacity = cutoff - 1 - beside;
    bytes->second = least_stage_bytes(question) + beside;
    return bytes->second;
  });
}

}  // namespace galvatron::search
