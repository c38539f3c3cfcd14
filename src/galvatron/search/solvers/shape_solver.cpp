#include "galvatron/search/solvers/shape_solver.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::search {
namespace {

constexpr std::size_t kNoBeam = std::numeric_limits<std::size_t>::max();

}  // namespace

ShapeSolver::ShapeSolver(const ShapeQuestion& question, int group)
    : question_(question), group_(group) {
  bound_all_layers();
}

double ShapeSolver::repeats() const {
  return num_stages() == 1 ? 0 : tables().shape.num_microbatches - 1;
}

bool ShapeSolver::allowed_stage(int stage, int begin, int end) const {
  if (stage == 0 && begin != 0) return false;
  if (stage == num_stages() - 1 && end != num_layers()) return false;
  return question_.options().uneven_stages ||
         chunk(num_layers(), num_stages(), stage) == Range{begin, end};
}

ShapeSolver::Flight& ShapeSolver::flight(int stage) {
  const int q = question_.in_flight(stage);
  auto [it, added] = flights_.try_emplace(q);
  Flight& flight = it->second;
  if (!added) return flight;
  flight.options = question_.make_options(group_, q, true);
  for (std::size_t type = 0; type < flight.options.size(); ++type) {
    std::vector<WeightedCost> bottleneck, sum;
    std::int64_t alone = std::numeric_limits<std::int64_t>::max();
    for (const LayerOption& option : flight.options[type]) {
      const double time = option.time + option.time2;
      const auto weight = static_cast<double>(option.weight());
      bottleneck.push_back({weight, time + bottleneck_share() * option.once});
      sum.push_back({weight, time + sum_share() * option.once});
      alone = std::min(
          alone, cost::transient_bytes(tables().cost[type][static_cast<std::size_t>(option.id)],
                                       nullptr, false, false));
    }
    flight.bottleneck_hull.emplace_back(std::move(bottleneck));
    flight.sum_hull.emplace_back(std::move(sum));
    flight.alone.push_back(std::max<std::int64_t>(0, flight.options[type].empty() ? 0 : alone));
  }
  return flight;
}

// The linear relaxation of a stage: no order, no transitions.
ShapeSolver::Kind& ShapeSolver::kind(int stage, int begin, int end) {
  Flight& of = flight(stage);
  const int range_kind = ranges().kind(begin, end);
  Kind& one = of.kinds[range_kind];
  if (one.bottleneck >= 0) return one;
  const std::vector<int>& counts = ranges().counts(range_kind);
  const auto last = static_cast<std::size_t>(ranges().types(range_kind).back());
  const double capacity =
      static_cast<double>(question_.options().budget - tables().reserve_bytes - of.alone[last]);
  const auto bound = [&](const std::vector<LowerHull>& hulls) {
    std::vector<HullCount> items;
    for (std::size_t type = 0; type < counts.size(); ++type) {
      if (counts[type] > 0) items.push_back({&hulls[type], counts[type]});
    }
    return relax(items, capacity).cost * (1 - kRounding);
  };
  one.bottleneck = bound(of.bottleneck_hull);
  one.sum = num_stages() == 1 ? one.bottleneck : bound(of.sum_hull);
  return one;
}

// All layers in the memory of all stages, one microbatch in flight, stages of equal time.
void ShapeSolver::bound_all_layers() {
  const Flight& of = flight(num_stages() - 1);
  const int p = num_stages();
  const std::vector<int>& counts = ranges().counts(ranges().kind(0, num_layers()));
  const double capacity = static_cast<double>(p) *
                          static_cast<double>(question_.options().budget - tables().reserve_bytes);
  const auto bound = [&](double repeated, double once_share) {
    std::vector<LowerHull> hulls(counts.size());
    std::vector<HullCount> items;
    for (std::size_t type = 0; type < counts.size(); ++type) {
      std::vector<WeightedCost> points;
      for (const LayerOption& option : of.options[type]) {
        points.push_back({static_cast<double>(option.weight()),
                          repeated * (option.time + option.time2) + once_share * option.once});
      }
      hulls[type] = LowerHull(std::move(points));
      if (counts[type] > 0) items.push_back({&hulls[type], counts[type]});
    }
    return relax(items, capacity).cost * (1 - kRounding);
  };
  lower_bound_ = bound(1 + repeats() / p, 1.0 / p);
  least_sum_ = bound(1, sum_share());
}

// Every stage of every path that may stay below the cutoff, with the bounds before and behind it.
void ShapeSolver::find_paths(double cutoff) {
  const int n = num_layers(), p = num_stages();
  const std::size_t size = at(p, n) + 1;
  sum_before_.assign(size, kInfinity);
  sum_from_ = bottleneck_before_ = bottleneck_from_ = sum_before_;
  sum_before_[at(0, 0)] = bottleneck_before_[at(0, 0)] = 0;
  sum_from_[at(p, n)] = bottleneck_from_[at(p, n)] = 0;
  arcs_.clear();
  for (int stage = 0; stage < p; ++stage) {
    const int last_end = n - (p - 1 - stage);
    for (int begin = stage; begin < last_end; ++begin) {
      const double sum = sum_before_[at(stage, begin)];
      if (sum == kInfinity) continue;
      const double bottleneck = bottleneck_before_[at(stage, begin)];
      for (int end = begin + 1; end <= last_end; ++end) {
        if (!allowed_stage(stage, begin, end)) continue;
        Kind& one = kind(stage, begin, end);
        const double extra = question_.transfers(begin, end).both();
        const double slowest = std::max(bottleneck, one.bottleneck + extra);
        const double least = std::max(least_sum_, sum + one.sum + extra);
        if (!(least + repeats() * slowest < cutoff)) {
          // With more layers of the same type it only gets slower.
          end = ranges().run_end(end - 1);
          continue;
        }
        arcs_.push_back({stage, begin, end, &one});
        double& next_sum = sum_before_[at(stage + 1, end)];
        double& next_bottleneck = bottleneck_before_[at(stage + 1, end)];
        next_sum = std::min(next_sum, sum + one.sum + extra);
        next_bottleneck = std::min(next_bottleneck, slowest);
      }
    }
  }
  for (std::size_t i = arcs_.size(); i-- > 0;) {
    const Arc& arc = arcs_[i];
    const double extra = question_.transfers(arc.begin, arc.end).both();
    const double behind = sum_from_[at(arc.stage + 1, arc.end)];
    if (behind == kInfinity) continue;
    double& sum = sum_from_[at(arc.stage, arc.begin)];
    double& bottleneck = bottleneck_from_[at(arc.stage, arc.begin)];
    sum = std::min(sum, behind + arc.kind->sum + extra);
    bottleneck = std::min(bottleneck, std::max(bottleneck_from_[at(arc.stage + 1, arc.end)],
                                               arc.kind->bottleneck + extra));
  }
  const double sum = sum_from_[at(0, 0)];
  const double slowest = std::max(bottleneck_from_[at(0, 0)], sum / p);
  const double bound = sum == kInfinity ? kInfinity : sum + repeats() * slowest;
  lower_bound_ = std::max(lower_bound_, std::min(bound, cutoff));
}

void ShapeSolver::tighten(double cutoff) {
  if (lower_bound_ < cutoff) find_paths(cutoff);
}

// What a stage of each kind may take at most on any path below the cutoff. False when there is no
// such path.
bool ShapeSolver::set_caps(double cutoff) {
  for (auto& [q, of] : flights_) {
    for (auto& [range_kind, one] : of.kinds) one.sum_cap = one.bottleneck_cap = -1;
  }
  bool any = false;
  std::erase_if(arcs_, [&](const Arc& arc) {
    Kind& one = *arc.kind;
    const double extra = question_.transfers(arc.begin, arc.end).both();
    const std::size_t before = at(arc.stage, arc.begin), behind = at(arc.stage + 1, arc.end);
    const double rest = sum_before_[before] + sum_from_[behind];
    const double least =
        std::max({bottleneck_before_[before], bottleneck_from_[behind], one.bottleneck + extra});
    if (!(rest + one.sum + extra + repeats() * least < cutoff)) return true;
    any = true;
    one.sum_cap = std::max(one.sum_cap, cutoff - rest - repeats() * least - extra);
    const double slowest = repeats() > 0 ? (cutoff - rest - one.sum - extra) / repeats() : cutoff;
    one.bottleneck_cap = std::max(one.bottleneck_cap, slowest - extra);
    return false;
  });
  return any;
}

StageProblem ShapeSolver::problem(const Flight& flight, int range_kind) const {
  StageProblem out;
  out.options = flight.options;
  out.types = ranges().types(range_kind);
  out.changes = &question_.layout_changes();
  out.capacity = question_.options().budget - tables().reserve_bytes;
  out.first_layout_counts = !ranges().only_first(range_kind);
  out.last_layout_counts = !ranges().only_last(range_kind);
  out.transient = [this](int type_a, int a, int type_b, int b, bool a_is_first, bool b_is_last) {
    const auto cost_of = [&](int type, int id) -> const cost::LayerCost& {
      return tables().cost[static_cast<std::size_t>(type)][static_cast<std::size_t>(id)];
    };
    return cost::transient_bytes(cost_of(type_a, a), b < 0 ? nullptr : &cost_of(type_b, b),
                                 a_is_first, b_is_last);
  };
  return out;
}

// Bounds with transitions for the kinds that matter. True when any of them rose.
bool ShapeSolver::refine() {
  bool rose = false;
  for (auto& [q, of] : flights_) {
    for (auto& [range_kind, one] : of.kinds) {
      if (one.refined || one.sum_cap < 0) continue;
      one.refined = true;
      const StageProblem question = problem(of, range_kind);
      const double sum = bound_stage(question, sum_share()) * (1 - kRounding);
      const double bottleneck =
          num_stages() == 1 ? sum : bound_stage(question, bottleneck_share()) * (1 - kRounding);
      rose = rose || sum > one.sum || bottleneck > one.bottleneck;
      one.sum = std::max(one.sum, sum);
      one.bottleneck = std::max(one.bottleneck, bottleneck);
    }
  }
  return rose;
}

// Fronts of all kinds that matter, all together within the limit on work. False when it was met.
bool ShapeSolver::solve_kinds(const StageLimits& limits) {
  bool complete = true;
  StageLimits left = limits;
  for (auto& [q, of] : flights_) {
    for (auto& [range_kind, one] : of.kinds) {
      if (one.sum_cap < 0) continue;
      const bool known = one.front.complete && one.solved_sum_cap >= one.sum_cap &&
                         one.solved_bottleneck_cap >= one.bottleneck_cap &&
                         one.time_tolerance <= limits.time_tolerance &&
                         one.once_tolerance <= limits.once_tolerance;
      if (known) continue;
      if (left.max_work < 0) return false;
      std::vector<StageCap> caps = {{sum_share(), one.sum_cap}};
      if (repeats() > 0) caps.push_back({bottleneck_share(), one.bottleneck_cap});
      one.front = solve_stage(problem(of, range_kind), caps, left);
      one.time_tolerance = limits.time_tolerance;
      one.once_tolerance = limits.once_tolerance;
      one.solved_sum_cap = one.sum_cap;
      one.solved_bottleneck_cap = one.bottleneck_cap;
      num_labels_ += one.front.labels;
      work_ += one.front.work;
      left.max_work -= one.front.work;
      complete = complete && one.front.complete;
    }
  }
  return complete;
}

ShapeAnswer ShapeSolver::solve(double cutoff, const StageLimits& limits) {
  ShapeAnswer answer;
  if (lower_bound_ >= cutoff) return answer;
  find_paths(cutoff);
  bool any = set_caps(cutoff);
  while (any && refine()) {
    find_paths(cutoff);
    any = set_caps(cutoff);
  }
  if (any) {
    const bool complete = solve_kinds(limits);
    if (complete || limits.beam < kNoBeam) answer = join_stages(cutoff);
    answer.complete = complete;
    // Every stage's time may be off in the sum, and the slowest one's once more.
    answer.slack_ms = limits.time_tolerance * (num_stages() + repeats()) + limits.once_tolerance;
  }
  if (answer.complete) {
    lower_bound_ = std::max(lower_bound_, std::min(cutoff, answer.step_ms) - answer.slack_ms);
  }
  return answer;
}

}  // namespace galvatron::search
