#include "galvatron/search/shape_solver.h"

#include <algorithm>

#include "galvatron/base/error.h"

namespace galvatron::search {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRounding = 1e-12;
constexpr std::size_t kNoBeam = std::numeric_limits<std::size_t>::max();

// Nothing that counts is larger in `a`.
bool dominates(const LayerOption& a, const cost::LayerCost& x, const LayerOption& b,
               const cost::LayerCost& y) {
  return a.layout == b.layout && a.time <= b.time && a.time2 <= b.time2 && a.once <= b.once &&
         a.fixed <= b.fixed && a.kept <= b.kept && x.gathered_bytes <= y.gathered_bytes &&
         x.reducing_bytes <= y.reducing_bytes &&
         x.parameter_gradient_bytes <= y.parameter_gradient_bytes &&
         x.forward_workspace_bytes <= y.forward_workspace_bytes &&
         x.backward_workspace_bytes <= y.backward_workspace_bytes;
}

// Two times as the objective weighs them. Without a pipeline everything is one time: once per
// microbatch or once per step.
struct Times {
  double time = 0, time2 = 0;
  double both() const { return time + time2; }
};
Times weigh(const cost::CostTables& tables, double forward_ms, double backward_ms) {
  if (tables.shape.pp_degree == 1) {
    return {tables.shape.num_microbatches * (forward_ms + backward_ms), 0};
  }
  if (tables.shape.schedule == plan::ScheduleKind::kGPipe) return {forward_ms, backward_ms};
  return {forward_ms + backward_ms, 0};
}

Times border(const cost::CostTables& tables, int stage) {
  return weigh(tables, stage > 0 ? tables.border_ms : 0,
               stage + 1 < tables.shape.pp_degree ? tables.border_ms : 0);
}

LayerOption make_option(const cost::CostTables& tables, const cost::LayerCost& layer, int in_flight,
                        int id) {
  const Times times = weigh(tables, layer.forward_ms, layer.backward_ms);
  LayerOption out;
  out.time = times.time;
  out.time2 = times.time2;
  out.once = layer.once_ms;
  if (tables.shape.pp_degree == 1) {
    out.time += layer.once_ms;
    out.once = 0;
  }
  out.fixed = layer.state_bytes + (in_flight - 1) * layer.activation_bytes;
  out.kept = layer.activation_bytes;
  out.layout = layer.layout;
  out.id = id;
  return out;
}

}  // namespace

ShapeQuestion::ShapeQuestion(const cost::CostTables& tables, const LayerRanges& ranges,
                             const std::vector<std::vector<int>>& group,
                             const ShapeOptions& options)
    : tables_(tables), ranges_(ranges), group_(group), options_(options) {
  for (const auto& row : group_) {
    for (const int one : row) {
      if (one >= 0) groups_.push_back(one);
    }
  }
  std::sort(groups_.begin(), groups_.end());
  groups_.erase(std::unique(groups_.begin(), groups_.end()), groups_.end());
  if (groups_.empty()) groups_ = {-1};
  for (std::size_t type = 0; type < tables.cost.size(); ++type) {
    // With one in flight `fixed` and `kept` are the two numbers that any number in flight weighs.
    std::vector<LayerOption> options_of_type;
    for (int id = 0; id < static_cast<int>(tables.cost[type].size()); ++id) {
      options_of_type.push_back(
          make_option(tables, tables.cost[type][static_cast<std::size_t>(id)], 1, id));
    }
    drop_dominated(type, true, options_of_type);
    auto& ids = candidates_.emplace_back();
    for (const LayerOption& option : options_of_type) ids.push_back(option.id);
  }
}

void ShapeQuestion::drop_dominated(std::size_t type, bool timed,
                                   std::vector<LayerOption>& options) const {
  const auto cost_of = [&](const LayerOption& option) -> const cost::LayerCost& {
    return tables_.cost[type][static_cast<std::size_t>(option.id)];
  };
  std::vector<LayerOption> kept;
  const auto beats = [&](const LayerOption& a, const LayerOption& b) {
    return group_of(type, a.id) == group_of(type, b.id) && dominates(a, cost_of(a), b, cost_of(b));
  };
  for (LayerOption& one : options) {
    if (!timed) {
      one.time = one.time2 = one.once = 0;
      one.layout = 0;
    }
    if (std::any_of(kept.begin(), kept.end(),
                    [&](const LayerOption& other) { return beats(other, one); })) {
      continue;
    }
    std::erase_if(kept, [&](const LayerOption& other) { return beats(one, other); });
    kept.push_back(one);
  }
  options = std::move(kept);
}

ShapeQuestion::Options ShapeQuestion::make_options(int group, int in_flight, bool timed) const {
  Options out;
  for (std::size_t type = 0; type < candidates_.size(); ++type) {
    auto& row = out.emplace_back();
    for (const int id : candidates_[type]) {
      const int own = group_of(type, id);
      if (group >= 0 && own >= 0 && own != group) continue;
      row.push_back(
          make_option(tables_, tables_.cost[type][static_cast<std::size_t>(id)], in_flight, id));
    }
    drop_dominated(type, timed, row);
  }
  return out;
}

struct ShapeSolver::Path {
  double sum = 0, slowest = 0, slowest2 = 0, once = 0;
  double bottleneck = 0, scalar_sum = 0;  // of X + O / m, of X + O / (m p)
  int begin = 0, layout_before = -1;
  const StageChoice* choice = nullptr;
  int next = -1;  // the later stages
};

ShapeSolver::ShapeSolver(const ShapeQuestion& question, int group)
    : question_(question), group_(group) {
  for (const double one_way : tables().transition_ms) {
    const Times times = weigh(tables(), one_way, one_way);
    transition_.push_back(times.time);
    transition2_.push_back(times.time2);
  }
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
  const int q = cost::microbatches_in_flight(tables().shape, stage);
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
    const double extra = border(tables(), stage).both();
    const int last_end = n - (p - 1 - stage);
    for (int begin = stage; begin < last_end; ++begin) {
      const double sum = sum_before_[at(stage, begin)];
      if (sum == kInfinity) continue;
      const double bottleneck = bottleneck_before_[at(stage, begin)];
      for (int end = begin + 1; end <= last_end; ++end) {
        if (!allowed_stage(stage, begin, end)) continue;
        Kind& one = kind(stage, begin, end);
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
    const double extra = border(tables(), arc.stage).both();
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
    const double extra = border(tables(), arc.stage).both();
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
  out.num_layouts = static_cast<int>(tables().layouts.size());
  out.transition = transition_;
  out.transition2 = transition2_;
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

ShapeAnswer ShapeSolver::join_stages(double cutoff) {
  const int n = num_layers(), p = num_stages();
  const int num_layouts = static_cast<int>(tables().layouts.size());
  const auto total = [&](const Path& path) {
    return path.sum + repeats() * (path.slowest + path.slowest2) + path.once;
  };
  const auto bound = [&](const Path& path, int stage) {
    const std::size_t before = at(stage, path.begin);
    return path.scalar_sum + sum_before_[before] +
           repeats() * std::max(path.bottleneck, bottleneck_before_[before]);
  };
  const auto no_worse = [](const Path& a, const Path& b) {
    return a.sum <= b.sum && a.slowest <= b.slowest && a.slowest2 <= b.slowest2 && a.once <= b.once;
  };
  std::vector<std::vector<Path>> done(1);  // [stages from the last]
  done[0].emplace_back();
  done[0][0].begin = n;
  std::size_t arc = arcs_.size();
  for (int stage = p - 1; stage >= 0; --stage) {
    const Times ends = border(tables(), stage);
    const auto& later = done.back();
    std::map<int, std::vector<int>> later_at;  // by begin
    for (int i = 0; i < static_cast<int>(later.size()); ++i) {
      later_at[later[static_cast<std::size_t>(i)].begin].push_back(i);
    }
    std::map<std::pair<int, int>, std::vector<Path>> found;  // by (begin, layout_before)
    for (; arc > 0 && arcs_[arc - 1].stage == stage; --arc) {
      const Arc& here = arcs_[arc - 1];
      const auto behind = later_at.find(here.end);
      if (behind == later_at.end()) continue;
      for (const StageChoice& choice : here.kind->front.choices) {
        for (int before = 0; before < (stage > 0 ? num_layouts : 1); ++before) {
          const auto moved = static_cast<std::size_t>(before * num_layouts + choice.first_layout);
          const double time = choice.time + ends.time + (stage > 0 ? transition_[moved] : 0);
          const double time2 = choice.time2 + ends.time2 + (stage > 0 ? transition2_[moved] : 0);
          for (const int index : behind->second) {
            const Path& path = later[static_cast<std::size_t>(index)];
            if (path.layout_before >= 0 && choice.last_layout != path.layout_before) continue;
            Path one;
            one.sum = path.sum + time + time2;
            one.slowest = std::max(path.slowest, time);
            one.slowest2 = std::max(path.slowest2, time2);
            one.once = std::max(path.once, choice.once);
            one.scalar_sum = path.scalar_sum + time + time2 + sum_share() * choice.once;
            one.bottleneck =
                std::max(path.bottleneck, time + time2 + bottleneck_share() * choice.once);
            one.begin = here.begin;
            one.layout_before = stage > 0 ? before : -1;
            one.choice = &choice;
            one.next = index;
            if (total(one) >= cutoff || bound(one, stage) >= cutoff) continue;
            auto& rivals = found[{one.begin, one.layout_before}];
            if (std::any_of(rivals.begin(), rivals.end(),
                            [&](const Path& other) { return no_worse(other, one); })) {
              continue;
            }
            std::erase_if(rivals, [&](const Path& other) { return no_worse(one, other); });
            rivals.push_back(one);
          }
        }
      }
    }
    std::vector<Path> kept;
    for (const auto& [key, rivals] : found) kept.insert(kept.end(), rivals.begin(), rivals.end());
    done.push_back(std::move(kept));
  }
  ShapeAnswer answer;
  const Path* best = nullptr;
  for (const Path& path : done.back()) {
    if (!best || total(path) < total(*best)) best = &path;
  }
  if (!best) return answer;
  answer.step_ms = total(*best);
  for (int left = p; left > 0; --left) {
    const std::vector<int>& ids = best->choice->ids;
    answer.layers_per_stage.push_back(static_cast<int>(ids.size()));
    answer.choice.insert(answer.choice.end(), ids.begin(), ids.end());
    best = &done[static_cast<std::size_t>(left - 1)][static_cast<std::size_t>(best->next)];
  }
  GALV_CHECK(static_cast<int>(answer.choice.size()) == n, "stages do not meet");
  return answer;
}

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
    const int q = cost::microbatches_in_flight(tables().shape, stage);
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
  std::map<int, Flight> lean;
  std::map<std::pair<int, int>, std::int64_t> known;
  return least_peak(cutoff, [&](int stage, int begin, int end) {
    const int q = cost::microbatches_in_flight(tables().shape, stage);
    const int range_kind = ranges().kind(begin, end);
    auto [bytes, added] = known.try_emplace({q, range_kind});
    if (!added) return bytes->second;
    auto [of, first] = lean.try_emplace(q);
    if (first) of->second.options = question_.make_options(group_, q, false);
    StageProblem question = problem(of->second, range_kind);
    question.capacity = cutoff - 1 - tables().reserve_bytes;
    bytes->second = least_stage_bytes(question) + tables().reserve_bytes;
    return bytes->second;
  });
}

}  // namespace galvatron::search
