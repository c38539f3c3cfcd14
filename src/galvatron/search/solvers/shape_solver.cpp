#include "galvatron/search/solvers/shape_solver.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::search {
namespace {

constexpr std::size_t kNoBeam = std::numeric_limits<std::size_t>::max();
// How often fronts are asked for better bounds: each time fewer of their choices count.
constexpr int kFrontRounds = 8;

}  // namespace

ShapeSolver::ShapeSolver(const ShapeQuestion& question, int group)
    : question_(question), group_(group) {
  if (num_stages() > 1) trips_ = cost::round_trips(tables().shape);
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

LowerHull ShapeSolver::hull(std::size_t type, int in_flight, double repeated,
                            double once_share) const {
  std::vector<WeightedCost> points;
  for (const ShapeQuestion::Point& one : bounds(type).points) {
    points.push_back({one.weight(in_flight), repeated * one.time + once_share * one.once});
  }
  return LowerHull(std::move(points));
}

ShapeSolver::Flight& ShapeSolver::flight(int stage) {
  const int q = question_.in_flight(stage);
  auto [it, added] = flights_.try_emplace(q);
  Flight& flight = it->second;
  if (!added) return flight;
  flight.in_flight = q;
  for (std::size_t type = 0; type < tables().cost.size(); ++type) {
    flight.bottleneck_hull.push_back(hull(type, q, 1, bottleneck_share()));
    flight.sum_hull.push_back(hull(type, q, 1, sum_share()));
  }
  return flight;
}

const ShapeQuestion::Options& ShapeSolver::options_of(Flight& flight) const {
  if (flight.options.empty()) {
    flight.options = question_.make_options(group_, flight.in_flight, true);
  }
  return flight.options;
}

ShapeSolver::Kind& ShapeSolver::kind(int stage, int begin, int end) {
  Flight& of = flight(stage);
  const int range_kind = ranges().kind(begin, end);
  Kind& one = of.kinds[range_kind];
  if (one.facts) return one;
  one.facts = question_.shared_facts(of.in_flight, range_kind);
  if (!one.facts) one.facts = &one.own;
  if (one.facts->bottleneck < 0) bound_kind(of, range_kind, *one.facts);
  one.bottleneck = one.facts->bottleneck;
  one.sum = one.facts->sum;
  return one;
}

// The linear relaxation of a stage: no order, no transitions.
void ShapeSolver::bound_kind(const Flight& flight, int range_kind, StageFacts& facts) const {
  const std::vector<int>& counts = ranges().counts(range_kind);
  const auto last = static_cast<std::size_t>(ranges().types(range_kind).back());
  const double capacity =
      static_cast<double>(question_.options().budget - tables().reserve_bytes - bounds(last).alone);
  const auto bound = [&](const std::vector<LowerHull>& hulls) {
    std::vector<HullCount> items;
    for (std::size_t type = 0; type < counts.size(); ++type) {
      if (counts[type] > 0) items.push_back({&hulls[type], counts[type]});
    }
    return relax(items, capacity).cost * (1 - kRounding);
  };
  facts.bottleneck = bound(flight.bottleneck_hull);
  facts.sum = num_stages() == 1 ? facts.bottleneck : bound(flight.sum_hull);
}

// All layers in the memory of all stages, one microbatch in flight, stages of equal time.
void ShapeSolver::bound_all_layers() {
  const int q = question_.in_flight(num_stages() - 1), p = num_stages();
  const std::vector<int>& counts = ranges().counts(ranges().kind(0, num_layers()));
  const double capacity = static_cast<double>(p) *
                          static_cast<double>(question_.options().budget - tables().reserve_bytes);
  const auto bound = [&](double repeated, double once_share) {
    std::vector<LowerHull> hulls(counts.size());
    std::vector<HullCount> items;
    for (std::size_t type = 0; type < counts.size(); ++type) {
      hulls[type] = hull(type, q, repeated, once_share);
      if (counts[type] > 0) items.push_back({&hulls[type], counts[type]});
    }
    return relax(items, capacity).cost * (1 - kRounding);
  };
  lower_bound_ = bound(1 + repeats() / p, 1.0 / p);
  least_sum_ = bound(1, sum_share());
}

ShapeSolver::PathBounds ShapeSolver::path_bounds(const Arc& arc, double sum,
                                                 double bottleneck) const {
  const double waits = question_.waits(arc.begin, arc.end);
  return {sum + waits, trips_.stages * sum + trips_.borders * waits,
          std::max(bottleneck, question_.link_pace(arc.begin, arc.end).both())};
}

void ShapeSolver::forget_paths() {
  before_.assign(at(num_stages(), num_layers()) + 1, {kInfinity, kInfinity, kInfinity});
  from_ = before_;
  before_[at(0, 0)] = from_.back() = {};
}

// Goes on from the stages before: false when no path through it can stay below the cutoff.
bool ShapeSolver::enter(const Arc& arc, double cutoff) {
  const PathBounds path = before_[at(arc.stage, arc.begin)].with(path_bounds(arc));
  const bool below =
      std::max(least_sum_, path.sum) + repeats() * path.slowest < cutoff && path.trips < cutoff;
  if (below) before_[at(arc.stage + 1, arc.end)].lower_to(path);
  return below;
}

// Every stage of every path that may stay below the cutoff, with the bounds before and behind it.
void ShapeSolver::find_paths(double cutoff) {
  const int n = num_layers(), p = num_stages();
  forget_paths();
  arcs_.clear();
  for (int stage = 0; stage < p; ++stage) {
    const int last_end = n - (p - 1 - stage);
    for (int begin = stage; begin < last_end; ++begin) {
      if (!before_[at(stage, begin)].is_open()) continue;
      for (int end = begin + 1; end <= last_end; ++end) {
        if (!allowed_stage(stage, begin, end)) continue;
        const Arc arc{stage, begin, end, &kind(stage, begin, end)};
        if (enter(arc, cutoff)) {
          arcs_.push_back(arc);
        } else {
          // With more layers of the same type it only gets slower.
          end = ranges().run_end(end - 1);
        }
      }
    }
  }
  bound_behind(cutoff);
}

// The same of the stages that are left. Bounds from fronts need not rise with the layers.
void ShapeSolver::narrow_paths(double cutoff) {
  forget_paths();
  std::erase_if(arcs_, [&](const Arc& arc) {
    return !before_[at(arc.stage, arc.begin)].is_open() || !enter(arc, cutoff);
  });
  bound_behind(cutoff);
}

void ShapeSolver::bound_behind(double cutoff) {
  for (std::size_t i = arcs_.size(); i-- > 0;) {
    const Arc& arc = arcs_[i];
    const PathBounds& behind = from_[at(arc.stage + 1, arc.end)];
    if (behind.is_open()) from_[at(arc.stage, arc.begin)].lower_to(path_bounds(arc).with(behind));
  }
  lower_bound_ = std::max(lower_bound_, std::min(step_bound(from_[at(0, 0)]), cutoff));
}

// Bounds that hold below one cutoff alone.
void ShapeSolver::forget_cutoff() {
  for (auto& [q, of] : flights_) {
    for (auto& [range_kind, one] : of.kinds) {
      one.bottleneck = one.facts->bottleneck;
      one.sum = one.facts->sum;
    }
  }
}

void ShapeSolver::tighten(double cutoff) {
  forget_cutoff();
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
    const double waits = question_.waits(arc.begin, arc.end);
    const PathBounds rest =
        before_[at(arc.stage, arc.begin)].with(from_[at(arc.stage + 1, arc.end)]);
    const PathBounds whole = rest.with(path_bounds(arc));
    if (!(step_bound(whole) < cutoff)) return true;
    any = true;
    const double by_pace = cutoff - rest.sum - repeats() * whole.slowest - waits;
    const double by_trips = (cutoff - rest.trips - trips_.borders * waits) / trips_.stages;
    one.sum_cap = std::max(one.sum_cap, std::min(by_pace, by_trips));
    const double slowest = repeats() > 0 ? (cutoff - whole.sum) / repeats() : cutoff;
    one.bottleneck_cap = std::max(one.bottleneck_cap, slowest);
    return false;
  });
  return any;
}

StageProblem ShapeSolver::problem(const ShapeQuestion::Options& options, int range_kind) const {
  StageProblem out;
  out.options = options;
  out.types = ranges().types(range_kind);
  out.changes = &question_.layout_changes();
  out.capacity = question_.options().budget - tables().reserve_bytes -
                 tables().receive_bytes(out.types.front(), out.types.back());
  out.first_layout_counts = !ranges().only_first(range_kind);
  out.last_layout_counts = !ranges().only_last(range_kind);
  out.transient = [this](int type_a, int a, int type_b, int b) -> LayerTransient {
    const auto cost_of = [&](int type, int id) {
      return &tables().cost[static_cast<std::size_t>(type)][static_cast<std::size_t>(id)];
    };
    const cost::LayerCost* behind = b < 0 ? nullptr : cost_of(type_b, b);
    const cost::LayerCost& layer = *cost_of(type_a, a);
    return {cost::forward_bytes(layer, behind), cost::backward_bytes(layer, behind)};
  };
  return out;
}

// Bounds with transitions for the kinds that matter. True when any of them rose.
bool ShapeSolver::refine() {
  bool rose = false;
  for (auto& [q, of] : flights_) {
    for (auto& [range_kind, one] : of.kinds) {
      if (one.sum_cap < 0) continue;
      StageFacts& facts = *one.facts;
      if (!facts.refined) {
        facts.refined = true;
        const StageProblem question = problem(options_of(of), range_kind);
        const double sum = bound_stage(question, sum_share()) * (1 - kRounding);
        const double bottleneck =
            num_stages() == 1 ? sum : bound_stage(question, bottleneck_share()) * (1 - kRounding);
        facts.sum = std::max(facts.sum, sum);
        facts.bottleneck = std::max(facts.bottleneck, bottleneck);
      }
      rose = raise(one, facts.sum, facts.bottleneck) || rose;
    }
  }
  return rose;
}

bool ShapeSolver::raise(Kind& kind, double sum, double bottleneck) const {
  const bool rose = sum > kind.sum || bottleneck > kind.bottleneck;
  kind.sum = std::max(kind.sum, sum);
  kind.bottleneck = std::max(kind.bottleneck, bottleneck);
  return rose;
}

// Up to what the front's tolerances may have cost it.
bool ShapeSolver::within_caps(const Kind& kind, const StageChoice& choice) const {
  const StageFacts& facts = *kind.facts;
  const auto within = [&](double value, double once_share, double cap) {
    return value - facts.time_tolerance - once_share * facts.once_tolerance <=
           cap * (1 + kRounding);
  };
  return within(sum_of(choice), sum_share(), kind.sum_cap) &&
         (repeats() == 0 || within(bottleneck_of(choice), bottleneck_share(), kind.bottleneck_cap));
}

// Bounds from the complete fronts, of what is within the caps. True when any of them rose.
bool ShapeSolver::use_fronts() {
  bool rose = false;
  for (auto& [q, of] : flights_) {
    for (auto& [range_kind, one] : of.kinds) {
      if (one.sum_cap < 0) continue;
      double sum = kInfinity, bottleneck = kInfinity;
      const StageFacts& facts = *one.facts;
      for (const StageChoice& choice : facts.front.choices) {
        if (!within_caps(one, choice)) continue;
        sum = std::min(sum, sum_of(choice));
        bottleneck = std::min(bottleneck, bottleneck_of(choice));
      }
      const auto least = [&](double value, double once_share) {
        return (value - facts.time_tolerance - once_share * facts.once_tolerance) * (1 - kRounding);
      };
      rose = raise(one, least(sum, sum_share()), least(bottleneck, bottleneck_share())) || rose;
    }
  }
  return rose;
}

void ShapeSolver::solve_kind(const Flight& flight, int range_kind, Kind& kind,
                             const StageLimits& limits) {
  StageFacts& facts = *kind.facts;
  std::vector<StageCap> caps = {{sum_share(), kind.sum_cap}};
  if (repeats() > 0) caps.push_back({bottleneck_share(), kind.bottleneck_cap});
  facts.front = solve_stage(problem(flight.options, range_kind), caps, limits);
  facts.time_tolerance = limits.time_tolerance;
  facts.once_tolerance = limits.once_tolerance;
  facts.sum_cap = kind.sum_cap;
  facts.bottleneck_cap = kind.bottleneck_cap;
  num_labels_ += facts.front.labels;
  work_ += facts.front.work;
}

// Fronts of all kinds that matter, all together within the limit on work. False when it was met.
bool ShapeSolver::solve_kinds(const StageLimits& limits) {
  bool complete = true;
  StageLimits left = limits;
  for (auto& [q, of] : flights_) {
    for (auto& [range_kind, one] : of.kinds) {
      if (one.sum_cap < 0) continue;
      const StageFacts& facts = *one.facts;
      const bool known = facts.front.complete && facts.sum_cap >= one.sum_cap &&
                         facts.bottleneck_cap >= one.bottleneck_cap &&
                         facts.time_tolerance <= limits.time_tolerance &&
                         facts.once_tolerance <= limits.once_tolerance;
      if (known) continue;
      if (left.max_work < 0 || (limits.interrupted && (*limits.interrupted)())) return false;
      options_of(of);
      solve_kind(of, range_kind, one, left);
      left.max_work -= facts.front.work;
      complete = complete && facts.front.complete;
    }
  }
  return complete;
}

ShapeAnswer ShapeSolver::solve(double cutoff, const StageLimits& limits) {
  ShapeAnswer answer;
  if (lower_bound_ >= cutoff) return answer;
  forget_cutoff();
  const auto look = [&] {
    find_paths(cutoff);
    return set_caps(cutoff);
  };
  bool any = look();
  while (any && refine()) any = look();
  if (any) {
    answer.complete = solve_kinds(limits);
    for (int i = 0; answer.complete && any && i < kFrontRounds && use_fronts(); ++i) {
      narrow_paths(cutoff);
      any = set_caps(cutoff);
    }
    // Every stage's time may be off in the sum, and the slowest one's once more.
    answer.slack_ms = limits.time_tolerance * (num_stages() + repeats()) + limits.once_tolerance;
  }
  if (any && (answer.complete || limits.beam < kNoBeam)) {
    const bool complete = answer.complete;
    const double slack_ms = answer.slack_ms;
    answer = join_stages(cutoff, limits.interrupted);
    answer.complete = answer.complete && complete;
    answer.slack_ms = slack_ms;
  }
  if (answer.complete) {
    lower_bound_ = std::max(lower_bound_, std::min(cutoff, answer.step_ms) - answer.slack_ms);
  }
  return answer;
}

}  // namespace galvatron::search
