#include "galvatron/search/shape_solver.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "galvatron/base/error.h"
#include "galvatron/plan/plan.h"

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

// How the objective weighs a layer's numbers. One stage: everything is one time, once per
// microbatch or once per step.
LayerOption make_option(const cost::CostTables& tables, const cost::LayerCost& layer, int in_flight,
                        int id) {
  LayerOption out;
  const double both = layer.forward_ms + layer.backward_ms;
  if (tables.shape.pp_degree == 1) {
    out.time = tables.shape.num_microbatches * both + layer.once_ms;
  } else if (tables.shape.schedule == plan::ScheduleKind::kGPipe) {
    out.time = layer.forward_ms;
    out.time2 = layer.backward_ms;
    out.once = layer.once_ms;
  } else {
    out.time = both;
    out.once = layer.once_ms;
  }
  out.fixed = layer.state_bytes + (in_flight - 1) * layer.activation_bytes;
  out.kept = layer.activation_bytes;
  out.layout = layer.layout;
  out.id = id;
  return out;
}

// Time of a transition or of a border between stages, both directions, as the objective weighs it.
struct Both {
  double time = 0, time2 = 0;
};
Both both_ways(const cost::CostTables& tables, double forward_ms, double backward_ms) {
  if (tables.shape.pp_degree == 1) {
    return {tables.shape.num_microbatches * (forward_ms + backward_ms), 0};
  }
  if (tables.shape.schedule == plan::ScheduleKind::kGPipe) return {forward_ms, backward_ms};
  return {forward_ms + backward_ms, 0};
}

Both border(const cost::CostTables& tables, int stage) {
  return both_ways(tables, stage > 0 ? tables.border_ms : 0,
                   stage + 1 < tables.shape.pp_degree ? tables.border_ms : 0);
}

// max over prices of   sum_t count_t * min_a (time + price * weight)  -  price * capacity:
// the linear relaxation of a stage without order. Concave in the price.
double relaxed(const std::vector<std::pair<int, const std::vector<LayerOption>*>>& parts,
               std::int64_t capacity) {
  double fastest = 0;
  std::int64_t leanest = 0;
  std::int64_t weight_of_fastest = 0;
  for (const auto& [count, options] : parts) {
    double time = kInfinity;
    std::int64_t least = std::numeric_limits<std::int64_t>::max(), weight = least;
    for (const LayerOption& option : *options) {
      const double one = option.time + option.time2;
      const std::int64_t bytes = option.fixed + option.kept;
      least = std::min(least, bytes);
      if (one < time || (one == time && bytes < weight)) {
        time = one;
        weight = bytes;
      }
    }
    if (options->empty()) return kInfinity;
    fastest += count * time;
    leanest += count * least;
    weight_of_fastest += count * weight;
  }
  if (leanest > capacity) return kInfinity;
  if (weight_of_fastest <= capacity) return fastest;
  const auto value = [&](double price) {
    double total = -price * static_cast<double>(capacity);
    for (const auto& [count, options] : parts) {
      double least = kInfinity;
      for (const LayerOption& option : *options) {
        least = std::min(least, option.time + option.time2 +
                                    price * static_cast<double>(option.fixed + option.kept));
      }
      total += count * least;
    }
    return total;
  };
  double low = 0, high = 1e-12 * std::max(fastest, 1e-9);
  while (value(2 * high) > value(high) && high < 1e9) high *= 2;
  high *= 2;
  double best = fastest;
  for (int step = 0; step < 40; ++step) {
    const double a = low + (high - low) / 3, b = high - (high - low) / 3;
    const double at_a = value(a), at_b = value(b);
    best = std::max({best, at_a, at_b});
    (at_a < at_b ? low : high) = at_a < at_b ? a : b;
  }
  return best;
}

}  // namespace

// A part of the pipeline from some layer to the end, and what its first stage demands of the layer
// before it.
struct ShapeSolver::PathLabel {
  double sum = 0, slowest = 0, slowest2 = 0, once = 0;
  int begin = 0, layout_before = -1;
  StageChoice choice;
  int next = -1;  // of the later stage
};

ShapeSolver::ShapeSolver(const cost::CostTables& tables, std::vector<std::vector<int>> candidates,
                         const ShapeOptions& options)
    : tables_(tables), candidates_(std::move(candidates)), options_(options) {
  for (int stage = 0; stage < num_stages(); ++stage) {
    const int q = in_flight(stage);
    if (stages_.find(q) == stages_.end()) stages_.emplace(q, stage_tables(q, true));
  }
  find_bounds();
}

int ShapeSolver::in_flight(int stage) const {
  return cost::microbatches_in_flight(tables_.shape, stage);
}

bool ShapeSolver::allowed_stage(int stage, int begin, int end) const {
  if (end - begin < 1 || begin < stage || num_layers() - end < num_stages() - 1 - stage) {
    return false;
  }
  if (stage == 0 && begin != 0) return false;
  if (options_.uneven_stages) return true;
  return chunk(num_layers(), num_stages(), stage) == Range{begin, end};
}

StageTables ShapeSolver::stage_tables(int in_flight, bool timed) const {
  StageTables out;
  out.capacity = options_.budget - tables_.reserve_bytes;
  out.num_layouts = static_cast<int>(tables_.layouts.size());
  for (std::size_t type = 0; type < candidates_.size(); ++type) {
    auto& row = out.options.emplace_back();
    for (const int id : candidates_[type]) {
      const cost::LayerCost& cost = tables_.cost[type][static_cast<std::size_t>(id)];
      LayerOption one = make_option(tables_, cost, in_flight, id);
      if (!timed) one.time = one.time2 = one.once = one.layout = 0;
      const auto other_cost = [&](const LayerOption& other) -> const cost::LayerCost& {
        return tables_.cost[type][static_cast<std::size_t>(other.id)];
      };
      if (std::any_of(row.begin(), row.end(), [&](const LayerOption& other) {
            return dominates(other, other_cost(other), one, cost);
          })) {
        continue;
      }
      std::erase_if(row, [&](const LayerOption& other) {
        return dominates(one, cost, other, other_cost(other));
      });
      row.push_back(one);
    }
  }
  const auto cost_of = [&](std::size_t type, const LayerOption& option) -> const cost::LayerCost& {
    return tables_.cost[type][static_cast<std::size_t>(option.id)];
  };
  std::set<std::pair<std::size_t, std::size_t>> neighbours;
  for (int i = 0; i + 1 < num_layers(); ++i) {
    neighbours.emplace(tables_.type_of_layer[static_cast<std::size_t>(i)],
                       tables_.type_of_layer[static_cast<std::size_t>(i + 1)]);
  }
  const std::size_t types = out.options.size();
  out.pair.assign(types, std::vector<std::vector<PairTransient>>(types));
  for (std::size_t a = 0; a < types; ++a) {
    auto& alone = out.alone.emplace_back();
    for (const LayerOption& option : out.options[a]) {
      alone.push_back(cost::transient_bytes(cost_of(a, option), nullptr, false, false));
    }
    for (std::size_t b = 0; b < types; ++b) {
      if (neighbours.count({a, b}) == 0) continue;
      for (const LayerOption& x : out.options[a]) {
        for (const LayerOption& y : out.options[b]) {
          PairTransient& pair = out.pair[a][b].emplace_back();
          for (std::size_t flags = 0; flags < 4; ++flags) {
            pair.bytes[flags] = cost::transient_bytes(cost_of(a, x), &cost_of(b, y),
                                                      (flags & 2) != 0, (flags & 1) != 0);
          }
        }
      }
    }
  }
  for (const double one_way : tables_.transition_ms) {
    const Both both = both_ways(tables_, one_way, one_way);
    out.transition.push_back(timed ? both.time : 0);
    out.transition2.push_back(timed ? both.time2 : 0);
  }
  return out;
}

// Of the time of layers begin .. end-1 as one stage; infinity when it cannot fit.
double ShapeSolver::stage_bound(const StageTables& stage, int begin, int end) const {
  std::vector<int> count(stage.options.size());
  for (int i = begin; i < end; ++i) {
    ++count[static_cast<std::size_t>(type_of(i))];
  }
  std::vector<std::pair<int, const std::vector<LayerOption>*>> parts;
  for (std::size_t type = 0; type < count.size(); ++type) {
    if (count[type] > 0) parts.emplace_back(count[type], &stage.options[type]);
  }
  // Beside the sum of what is kept there is at least the last layer's own need.
  const auto last = static_cast<std::size_t>(type_of(end - 1));
  std::int64_t transient = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t bytes : stage.alone[last]) transient = std::min(transient, bytes);
  return relaxed(parts, stage.capacity - std::max<std::int64_t>(transient, 0));
}

// Least sum over partitions, plus (m - 1) times the least bottleneck, plus the least `once`.
void ShapeSolver::find_bounds() {
  const int n = num_layers(), p = num_stages();
  const auto width = static_cast<std::size_t>(n) + 1;
  sum_before_.assign(width * static_cast<std::size_t>(p + 1), kInfinity);
  slowest_before_ = sum_before_;
  sum_before_[0] = slowest_before_[0] = 0;
  std::map<std::pair<int, std::vector<int>>, double> known;
  for (int stage = 0; stage < p; ++stage) {
    const int q = in_flight(stage);
    const StageTables& tables = stages_.at(q);
    const Both ends = border(tables_, stage);
    const double* sum = &sum_before_[width * static_cast<std::size_t>(stage)];
    const double* slowest = &slowest_before_[width * static_cast<std::size_t>(stage)];
    double* next = &sum_before_[width * static_cast<std::size_t>(stage + 1)];
    double* next_slowest = &slowest_before_[width * static_cast<std::size_t>(stage + 1)];
    for (int end = stage + 1; end <= n; ++end) {
      std::vector<int> key(tables.options.size() + 1);
      key.back() = type_of(end - 1);
      for (int begin = end - 1; begin >= stage; --begin) {
        ++key[static_cast<std::size_t>(type_of(begin))];
        if (sum[begin] == kInfinity || !allowed_stage(stage, begin, end)) continue;
        auto [it, added] = known.try_emplace({q, key});
        if (added) it->second = stage_bound(tables, begin, end);
        if (it->second == kInfinity) {
          if (options_.uneven_stages) break;  // more layers fit even less
          continue;
        }
        const double time = it->second + ends.time + ends.time2;
        next[end] = std::min(next[end], sum[begin] + time);
        next_slowest[end] = std::min(next_slowest[end], std::max(slowest[begin], time));
      }
    }
  }
  const double sum = sum_before_.back();
  lower_bound_ = sum;
  if (p == 1 || sum == kInfinity) return;
  for (int i = 0; i < n; ++i) {
    double least = kInfinity;
    for (const auto& [q, tables] : stages_) {
      for (const LayerOption& option : tables.options[static_cast<std::size_t>(type_of(i))]) {
        least = std::min(least, option.once);
      }
    }
    once_bound_ += least / p;
  }
  lower_bound_ = sum +
                 (tables_.shape.num_microbatches - 1) * std::max(slowest_before_.back(), sum / p) +
                 once_bound_;
}

ShapeAnswer ShapeSolver::solve(double cutoff, std::size_t max_labels, bool& exact) {
  const int n = num_layers(), p = num_stages();
  const double repeats = p == 1 ? 0 : tables_.shape.num_microbatches - 1;
  StageLimits limits;
  limits.max_labels = max_labels;
  limits.time = limits.time2 = limits.once = cutoff;
  limits.once_weight = 1.0 / (1 + repeats / p) / p;
  if (repeats > 0 && cutoff < kInfinity) {
    limits.time = limits.time2 = (cutoff - sum_before_.back() - once_bound_) / repeats;
  }
  std::map<int, StageTree> trees;
  std::vector<Paths> done;  // [stages from the last]
  done.push_back({PathLabel{}});
  done[0][0].begin = n;
  const int num_layouts = static_cast<int>(tables_.layouts.size());
  const auto total = [&](const PathLabel& path) {
    return path.sum + repeats * (path.slowest + path.slowest2) + path.once;
  };
  // With the least that the stages before can take.
  const auto bound_of = [&](const PathLabel& path, int stage, int begin) {
    const std::size_t before = static_cast<std::size_t>(stage * (n + 1) + begin);
    return path.sum + sum_before_[before] + std::max(path.once, once_bound_) +
           repeats * std::max(path.slowest + path.slowest2, slowest_before_[before]);
  };
  for (int stage = p - 1; stage >= 0; --stage) {
    const StageTables& tables = stages_.at(in_flight(stage));
    StageTree& tree = trees.try_emplace(in_flight(stage), tables, limits).first->second;
    const Both ends = border(tables_, stage);
    const Paths& later = done.back();
    Paths paths;
    std::map<std::pair<int, int>, std::vector<int>> at;  // (begin, layout_before) -> paths
    for (int index = 0; index < static_cast<int>(later.size()); ++index) {
      const PathLabel& path = later[static_cast<std::size_t>(index)];
      int node = StageTree::kRoot;
      for (int begin = path.begin - 1; begin >= stage; --begin) {
        node = tree.child(node, type_of(begin));
        if (!allowed_stage(stage, begin, path.begin)) continue;
        const auto& choices = tree.choices(node);
        if (choices.empty() && options_.uneven_stages && stage > 0) break;
        for (const StageChoice& choice : choices) {
          if (path.layout_before >= 0 && choice.last_layout != path.layout_before) continue;
          for (int before = 0; before < (stage > 0 ? num_layouts : 1); ++before) {
            const auto moved = static_cast<std::size_t>(before * num_layouts + choice.first_layout);
            const double time =
                choice.time + ends.time + (stage > 0 ? tables.transition[moved] : 0);
            const double time2 =
                choice.time2 + ends.time2 + (stage > 0 ? tables.transition2[moved] : 0);
            PathLabel one;
            one.sum = path.sum + time + time2;
            one.slowest = std::max(path.slowest, time);
            one.slowest2 = std::max(path.slowest2, time2);
            one.once = std::max(path.once, choice.once);
            if (bound_of(one, stage, begin) >= cutoff) continue;
            one.begin = begin;
            one.layout_before = stage > 0 ? before : -1;
            one.choice = choice;
            one.next = index;
            auto& rivals = at[{begin, one.layout_before}];
            const auto no_worse = [](const PathLabel& a, const PathLabel& b) {
              return a.sum <= b.sum && a.slowest <= b.slowest && a.slowest2 <= b.slowest2 &&
                     a.once <= b.once;
            };
            if (std::any_of(rivals.begin(), rivals.end(), [&](int r) {
                  return no_worse(paths[static_cast<std::size_t>(r)], one);
                })) {
              continue;
            }
            std::erase_if(rivals,
                          [&](int r) { return no_worse(one, paths[static_cast<std::size_t>(r)]); });
            rivals.push_back(static_cast<int>(paths.size()));
            paths.push_back(one);
          }
        }
      }
    }
    Paths kept;
    for (const auto& [key, rivals] : at) {
      for (const int r : rivals) kept.push_back(paths[static_cast<std::size_t>(r)]);
    }
    done.push_back(std::move(kept));
  }
  for (const auto& [q, tree] : trees) {
    exact = exact && tree.exact();
    num_labels_ += tree.num_labels();
  }
  ShapeAnswer answer;
  const PathLabel* best = nullptr;
  for (const PathLabel& path : done.back()) {
    if (path.begin == 0 && (!best || total(path) < total(*best))) best = &path;
  }
  if (!best) return answer;
  answer.step_ms = total(*best);
  int end_of_stage = 0;
  for (int stage = 0; stage < p; ++stage) {
    const Paths& later = done[static_cast<std::size_t>(p - 1 - stage)];
    const std::vector<int> ids = trees.at(in_flight(stage)).options_of(best->choice);
    answer.layers_per_stage.push_back(static_cast<int>(ids.size()));
    answer.choice.insert(answer.choice.end(), ids.begin(), ids.end());
    end_of_stage += static_cast<int>(ids.size());
    best = &later[static_cast<std::size_t>(best->next)];
    GALV_CHECK(best->begin == end_of_stage, "stages do not meet");
  }
  return answer;
}

std::int64_t ShapeSolver::least_bytes(std::int64_t cutoff) const {
  const int n = num_layers(), p = num_stages();
  std::vector<std::int64_t> least(static_cast<std::size_t>(n) + 1, cutoff);
  least[static_cast<std::size_t>(n)] = 0;
  std::map<int, StageTables> lean;
  std::map<int, StageTree> trees;
  for (const auto& [q, tables] : stages_) {
    const auto added = lean.emplace(q, stage_tables(q, false)).first;
    added->second.capacity = cutoff - 1 - tables_.reserve_bytes;
    trees.try_emplace(q, added->second, StageLimits{});
  }
  for (int stage = p - 1; stage >= 0; --stage) {
    std::vector<std::int64_t> next(least.size(), cutoff);
    StageTree& tree = trees.at(in_flight(stage));
    for (int end = 1; end <= n; ++end) {
      if (least[static_cast<std::size_t>(end)] == cutoff) continue;
      int node = StageTree::kRoot;
      for (int begin = end - 1; begin >= stage; --begin) {
        node = tree.child(node, type_of(begin));
        if (!allowed_stage(stage, begin, end)) continue;
        std::int64_t bytes = cutoff;
        for (const StageChoice& choice : tree.choices(node)) {
          bytes = std::min(bytes, choice.bytes + tables_.reserve_bytes);
        }
        if (bytes == cutoff && options_.uneven_stages && stage > 0) break;
        auto& best = next[static_cast<std::size_t>(begin)];
        best = std::min(best, std::max(bytes, least[static_cast<std::size_t>(end)]));
      }
    }
    least = std::move(next);
  }
  return least[0];
}

}  // namespace galvatron::search
