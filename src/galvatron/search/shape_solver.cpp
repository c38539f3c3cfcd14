#include "galvatron/search/shape_solver.h"

#include <algorithm>
#include <map>

#include "galvatron/base/error.h"
#include "galvatron/search/relaxation.h"

namespace galvatron::search {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRounding = 1e-12;

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

struct ShapeSolver::Path {
  double sum = 0, slowest = 0, slowest2 = 0, once = 0;
  double bottleneck = 0, scalar_sum = 0;  // of X + O / m, of X + O / (m p)
  int begin = 0, layout_before = -1;
  const StageChoice* choice = nullptr;
  int next = -1;  // the later stages
};

ShapeSolver::ShapeSolver(const cost::CostTables& tables, const LayerRanges& ranges,
                         std::vector<std::vector<int>> candidates, const ShapeOptions& options)
    : tables_(tables), ranges_(ranges), candidates_(std::move(candidates)), options_(options) {
  for (int stage = 0; stage < num_stages(); ++stage) {
    const int q = cost::microbatches_in_flight(tables_.shape, stage);
    if (in_flight_.empty() || in_flight_.back() != q) in_flight_.push_back(q);
  }
  by_flight_ = make_options(true);
  for (const double one_way : tables_.transition_ms) {
    const Times times = weigh(tables_, one_way, one_way);
    transition_.push_back(times.time);
    transition2_.push_back(times.time2);
  }
  bound_kinds();
  find_path_bounds();
}

double ShapeSolver::repeats() const {
  return num_stages() == 1 ? 0 : tables_.shape.num_microbatches - 1;
}

// Stages from the first on: in flight falls or stays equal.
int ShapeSolver::in_flight_index(int stage) const {
  const int q = cost::microbatches_in_flight(tables_.shape, stage);
  return in_flight_.front() - q;
}

bool ShapeSolver::allowed_stage(int stage, int begin, int end) const {
  if (stage == 0 && begin != 0) return false;
  if (stage == num_stages() - 1 && end != num_layers()) return false;
  return options_.uneven_stages || chunk(num_layers(), num_stages(), stage) == Range{begin, end};
}

template <typename Visit>
void ShapeSolver::for_ranges(int stage, Visit visit) const {
  const int last_end = num_layers() - (num_stages() - 1 - stage);
  for (int begin = stage; begin < last_end; ++begin) {
    if (stage == 0 && begin > 0) break;
    for (int end = begin + 1; end <= last_end; ++end) {
      if (allowed_stage(stage, begin, end)) visit(begin, end);
    }
  }
}

std::vector<std::vector<std::vector<LayerOption>>> ShapeSolver::make_options(bool timed) const {
  std::vector<std::vector<std::vector<LayerOption>>> out;
  for (const int q : in_flight_) {
    auto& types = out.emplace_back();
    for (std::size_t type = 0; type < candidates_.size(); ++type) {
      auto& row = types.emplace_back();
      const auto& costs = tables_.cost[type];
      const auto cost_of = [&](const LayerOption& option) -> const cost::LayerCost& {
        return costs[static_cast<std::size_t>(option.id)];
      };
      for (const int id : candidates_[type]) {
        LayerOption one = make_option(tables_, costs[static_cast<std::size_t>(id)], q, id);
        if (!timed) {
          one.time = one.time2 = one.once = 0;
          one.layout = 0;
        }
        if (std::any_of(row.begin(), row.end(), [&](const LayerOption& other) {
              return dominates(other, cost_of(other), one, cost_of(one));
            })) {
          continue;
        }
        std::erase_if(row, [&](const LayerOption& other) {
          return dominates(one, cost_of(one), other, cost_of(other));
        });
        row.push_back(one);
      }
    }
  }
  return out;
}

// The linear relaxation of every kind: no order, no transitions.
void ShapeSolver::bound_kinds() {
  kinds_.resize(in_flight_.size() * static_cast<std::size_t>(ranges_.num_kinds()));
  const std::size_t types = candidates_.size();
  const double shares[] = {bottleneck_share(), sum_share()};
  for (std::size_t q = 0; q < in_flight_.size(); ++q) {
    std::vector<LowerHull> hulls;  // [type * 2 + share]
    std::vector<std::int64_t> alone(types, 0);
    for (std::size_t type = 0; type < types; ++type) {
      for (const double share : shares) {
        std::vector<WeightedCost> points;
        for (const LayerOption& option : by_flight_[q][type]) {
          points.push_back({static_cast<double>(option.weight()),
                            option.time + option.time2 + share * option.once});
        }
        hulls.emplace_back(std::move(points));
      }
      std::int64_t least = std::numeric_limits<std::int64_t>::max();
      for (const LayerOption& option : by_flight_[q][type]) {
        least = std::min(
            least, cost::transient_bytes(tables_.cost[type][static_cast<std::size_t>(option.id)],
                                         nullptr, false, false));
      }
      alone[type] = std::max<std::int64_t>(0, by_flight_[q][type].empty() ? 0 : least);
    }
    for (int kind = 0; kind < ranges_.num_kinds(); ++kind) {
      const std::vector<int>& counts = ranges_.counts(kind);
      const auto last = static_cast<std::size_t>(ranges_.types(kind).back());
      const double capacity =
          static_cast<double>(options_.budget - tables_.reserve_bytes - alone[last]);
      const auto bound = [&](std::size_t share) {
        std::vector<HullCount> items;
        for (std::size_t type = 0; type < types; ++type) {
          if (counts[type] > 0) items.push_back({&hulls[2 * type + share], counts[type]});
        }
        return relax(items, capacity).cost * (1 - kRounding);
      };
      Kind& one = kinds_[q * static_cast<std::size_t>(ranges_.num_kinds()) +
                         static_cast<std::size_t>(kind)];
      one.bottleneck = bound(0);
      one.sum = num_stages() == 1 ? one.bottleneck : bound(1);
    }
  }
}

void ShapeSolver::find_path_bounds() {
  const int n = num_layers(), p = num_stages();
  const auto width = static_cast<std::size_t>(n) + 1;
  const auto at = [&](int stage, int layer) {
    return static_cast<std::size_t>(stage) * width + static_cast<std::size_t>(layer);
  };
  const std::size_t size = width * static_cast<std::size_t>(p + 1);
  sum_before_.assign(size, kInfinity);
  sum_from_ = bottleneck_before_ = bottleneck_from_ = sum_before_;
  sum_before_[at(0, 0)] = bottleneck_before_[at(0, 0)] = 0;
  sum_from_[at(p, n)] = bottleneck_from_[at(p, n)] = 0;
  const auto relax_arc = [&](double& sum, double& bottleneck, double other_sum,
                             double other_bottleneck, const Kind& kind, double extra) {
    sum = std::min(sum, other_sum + kind.sum + extra);
    bottleneck = std::min(bottleneck, std::max(other_bottleneck, kind.bottleneck + extra));
  };
  for (int stage = 0; stage < p; ++stage) {
    const double extra = border(tables_, stage).both();
    for_ranges(stage, [&](int begin, int end) {
      relax_arc(sum_before_[at(stage + 1, end)], bottleneck_before_[at(stage + 1, end)],
                sum_before_[at(stage, begin)], bottleneck_before_[at(stage, begin)],
                kinds_[kind_index(stage, begin, end)], extra);
    });
  }
  for (int stage = p - 1; stage >= 0; --stage) {
    const double extra = border(tables_, stage).both();
    for_ranges(stage, [&](int begin, int end) {
      relax_arc(sum_from_[at(stage, begin)], bottleneck_from_[at(stage, begin)],
                sum_from_[at(stage + 1, end)], bottleneck_from_[at(stage + 1, end)],
                kinds_[kind_index(stage, begin, end)], extra);
    });
  }
  const double sum = sum_from_[at(0, 0)];
  const double bottleneck = std::max(bottleneck_from_[at(0, 0)], sum / p);
  lower_bound_ =
      std::max(lower_bound_, sum == kInfinity ? kInfinity : sum + repeats() * bottleneck);
}

// What a stage of each kind may take at most on any path below the cutoff. False when there is no
// such path.
bool ShapeSolver::set_caps(double cutoff) {
  for (Kind& kind : kinds_) kind.bottleneck_cap = kind.sum_cap = -1;
  const auto width = static_cast<std::size_t>(num_layers()) + 1;
  for (int stage = 0; stage < num_stages(); ++stage) {
    bool any = false;
    const double extra = border(tables_, stage).both();
    for_ranges(stage, [&](int begin, int end) {
      Kind& kind = kinds_[kind_index(stage, begin, end)];
      const std::size_t before =
          static_cast<std::size_t>(stage) * width + static_cast<std::size_t>(begin);
      const std::size_t behind =
          static_cast<std::size_t>(stage + 1) * width + static_cast<std::size_t>(end);
      const double rest = sum_before_[before] + sum_from_[behind];
      const double slowest = std::max(bottleneck_before_[before], bottleneck_from_[behind]);
      const double least = std::max(slowest, kind.bottleneck + extra);
      if (!(rest + kind.sum + extra + repeats() * least < cutoff)) return;
      any = true;
      kind.sum_cap = std::max(kind.sum_cap, cutoff - rest - repeats() * least - extra);
      kind.bottleneck_cap =
          std::max(kind.bottleneck_cap,
                   repeats() > 0 ? (cutoff - rest - kind.sum - extra) / repeats() - extra : cutoff);
    });
    if (!any) return false;
  }
  return true;
}

StageProblem ShapeSolver::problem(
    std::size_t kind, const std::vector<std::vector<std::vector<LayerOption>>>& options) const {
  const std::size_t kinds = static_cast<std::size_t>(ranges_.num_kinds());
  StageProblem out;
  out.options = options[kind / kinds];
  out.types = ranges_.types(static_cast<int>(kind % kinds));
  out.num_layouts = static_cast<int>(tables_.layouts.size());
  out.transition = transition_;
  out.transition2 = transition2_;
  out.capacity = options_.budget - tables_.reserve_bytes;
  out.last_layout_counts = !ranges_.only_last(static_cast<int>(kind % kinds));
  out.transient = [this](int type_a, int a, int type_b, int b, bool a_is_first, bool b_is_last) {
    const auto cost_of = [&](int type, int id) -> const cost::LayerCost& {
      return tables_.cost[static_cast<std::size_t>(type)][static_cast<std::size_t>(id)];
    };
    return cost::transient_bytes(cost_of(type_a, a), b < 0 ? nullptr : &cost_of(type_b, b),
                                 a_is_first, b_is_last);
  };
  return out;
}

// Bounds with transitions for the kinds that matter. True when any of them rose.
bool ShapeSolver::refine() {
  bool rose = false;
  for (std::size_t i = 0; i < kinds_.size(); ++i) {
    Kind& kind = kinds_[i];
    if (kind.refined || kind.sum_cap < 0) continue;
    kind.refined = true;
    const StageProblem question = problem(i, by_flight_);
    const double sum = bound_stage(question, sum_share()) * (1 - kRounding);
    const double bottleneck =
        num_stages() == 1 ? sum : bound_stage(question, bottleneck_share()) * (1 - kRounding);
    rose = rose || sum > kind.sum || bottleneck > kind.bottleneck;
    kind.sum = std::max(kind.sum, sum);
    kind.bottleneck = std::max(kind.bottleneck, bottleneck);
  }
  return rose;
}

// Fronts of all kinds that matter. False when a limit was met.
bool ShapeSolver::solve_kinds(const StageLimits& limits) {
  bool complete = true;
  for (std::size_t i = 0; i < kinds_.size(); ++i) {
    Kind& kind = kinds_[i];
    if (kind.sum_cap < 0) continue;
    const bool known = kind.front.complete && kind.solved_sum_cap >= kind.sum_cap &&
                       kind.solved_bottleneck_cap >= kind.bottleneck_cap &&
                       kind.tolerance <= limits.tolerance;
    if (known) continue;
    std::vector<StageCap> caps = {{sum_share(), kind.sum_cap}};
    if (repeats() > 0) caps.push_back({bottleneck_share(), kind.bottleneck_cap});
    kind.front = solve_stage(problem(i, by_flight_), caps, limits);
    kind.tolerance = limits.tolerance;
    kind.solved_sum_cap = kind.sum_cap;
    kind.solved_bottleneck_cap = kind.bottleneck_cap;
    num_labels_ += kind.front.labels;
    complete = complete && kind.front.complete;
  }
  return complete;
}

ShapeAnswer ShapeSolver::solve(double cutoff, const StageLimits& limits) {
  ShapeAnswer answer;
  if (lower_bound_ >= cutoff) return answer;
  while (set_caps(cutoff) && refine()) find_path_bounds();
  if (lower_bound_ >= cutoff) return answer;
  if (set_caps(cutoff)) {
    const bool complete = solve_kinds(limits);
    answer = join_stages(cutoff);
    answer.complete = complete;
    // Every layer's time may be off in the sum, and a whole stage's in the slowest one.
    answer.slack_ms = 2 * limits.tolerance * num_layers() * (1 + repeats());
  }
  if (answer.complete) {
    lower_bound_ = std::max(lower_bound_, std::min(cutoff, answer.step_ms) - answer.slack_ms);
  }
  return answer;
}

ShapeAnswer ShapeSolver::join_stages(double cutoff) const {
  const int n = num_layers(), p = num_stages();
  const auto width = static_cast<std::size_t>(n) + 1;
  const int num_layouts = static_cast<int>(tables_.layouts.size());
  const auto total = [&](const Path& path) {
    return path.sum + repeats() * (path.slowest + path.slowest2) + path.once;
  };
  const auto bound = [&](const Path& path, int stage) {
    const std::size_t before =
        static_cast<std::size_t>(stage) * width + static_cast<std::size_t>(path.begin);
    return path.scalar_sum + sum_before_[before] +
           repeats() * std::max(path.bottleneck, bottleneck_before_[before]);
  };
  const auto no_worse = [](const Path& a, const Path& b) {
    return a.sum <= b.sum && a.slowest <= b.slowest && a.slowest2 <= b.slowest2 && a.once <= b.once;
  };
  std::vector<std::vector<Path>> done(1);  // [stages from the last]
  done[0].emplace_back();
  done[0][0].begin = n;
  for (int stage = p - 1; stage >= 0; --stage) {
    const Times ends = border(tables_, stage);
    std::map<std::pair<int, int>, std::vector<Path>> at;  // by (begin, layout_before)
    const auto& later = done.back();
    for (int index = 0; index < static_cast<int>(later.size()); ++index) {
      const Path& path = later[static_cast<std::size_t>(index)];
      for (int begin = path.begin - 1; begin >= stage; --begin) {
        if (!allowed_stage(stage, begin, path.begin)) continue;
        const Kind& kind = kinds_[kind_index(stage, begin, path.begin)];
        if (kind.sum_cap < 0) continue;
        for (const StageChoice& choice : kind.front.choices) {
          if (path.layout_before >= 0 && choice.last_layout != path.layout_before) continue;
          for (int before = 0; before < (stage > 0 ? num_layouts : 1); ++before) {
            const auto moved = static_cast<std::size_t>(before * num_layouts + choice.first_layout);
            const double time = choice.time + ends.time + (stage > 0 ? transition_[moved] : 0);
            const double time2 = choice.time2 + ends.time2 + (stage > 0 ? transition2_[moved] : 0);
            Path one;
            one.sum = path.sum + time + time2;
            one.slowest = std::max(path.slowest, time);
            one.slowest2 = std::max(path.slowest2, time2);
            one.once = std::max(path.once, choice.once);
            one.scalar_sum = path.scalar_sum + time + time2 + sum_share() * choice.once;
            one.bottleneck =
                std::max(path.bottleneck, time + time2 + bottleneck_share() * choice.once);
            one.begin = begin;
            one.layout_before = stage > 0 ? before : -1;
            one.choice = &choice;
            one.next = index;
            if (total(one) >= cutoff || bound(one, stage) >= cutoff) continue;
            auto& rivals = at[{begin, one.layout_before}];
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
    for (const auto& [key, rivals] : at) kept.insert(kept.end(), rivals.begin(), rivals.end());
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
  std::vector<std::int64_t> least(static_cast<std::size_t>(num_layers()) + 1, cutoff);
  least.back() = 0;
  for (int stage = num_stages() - 1; stage >= 0; --stage) {
    std::vector<std::int64_t> next(least.size(), cutoff);
    for_ranges(stage, [&](int begin, int end) {
      const std::int64_t behind = least[static_cast<std::size_t>(end)];
      auto& best = next[static_cast<std::size_t>(begin)];
      if (behind < best) best = std::min(best, std::max(of_stage(stage, begin, end), behind));
    });
    least = std::move(next);
  }
  return least[0];
}

std::int64_t ShapeSolver::least_bytes_bound() const {
  std::vector<std::vector<std::int64_t>> lightest;  // [in flight][type]
  for (const auto& types : by_flight_) {
    auto& row = lightest.emplace_back();
    for (const auto& options : types) {
      row.push_back(std::numeric_limits<std::int64_t>::max() / (num_layers() + 1));
      for (const LayerOption& option : options) row.back() = std::min(row.back(), option.weight());
    }
  }
  return least_peak(std::numeric_limits<std::int64_t>::max(), [&](int stage, int begin, int end) {
    const auto& counts = ranges_.counts(ranges_.kind(begin, end));
    const auto& row = lightest[static_cast<std::size_t>(in_flight_index(stage))];
    std::int64_t bytes = tables_.reserve_bytes;
    for (std::size_t type = 0; type < counts.size(); ++type) bytes += counts[type] * row[type];
    return bytes;
  });
}

std::int64_t ShapeSolver::least_bytes(std::int64_t cutoff) const {
  if (least_bytes_bound() >= cutoff) return cutoff;
  const auto options = make_options(false);
  constexpr std::int64_t kUnknown = -1;
  std::vector<std::int64_t> of_kind(kinds_.size(), kUnknown);
  return least_peak(cutoff, [&](int stage, int begin, int end) {
    std::int64_t& bytes = of_kind[kind_index(stage, begin, end)];
    if (bytes == kUnknown) {
      StageProblem question = problem(kind_index(stage, begin, end), options);
      question.capacity = cutoff - 1 - tables_.reserve_bytes;
      bytes = least_stage_bytes(question) + tables_.reserve_bytes;
    }
    return bytes;
  });
}

}  // namespace galvatron::search
