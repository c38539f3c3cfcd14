#include "galvatron/search/solvers/shape_question.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

namespace galvatron::search {
namespace {

// Nothing that counts is larger in `a`.
bool dominates(const LayerOption& a, const cost::LayerCost& x, const LayerOption& b,
               const cost::LayerCost& y) {
  return a.layout == b.layout && a.time <= b.time && a.time2 <= b.time2 && a.once <= b.once &&
         a.fixed <= b.fixed && a.kept <= b.kept && a.carried <= b.carried &&
         passes_with_no_more(x, y);
}

bool by_phase(const cost::PipelineShape& shape) {
  return plan::traits(shape.schedule).closed_form == plan::ClosedForm::kSlowestPhases;
}

// Two times as the objective weighs them. Without a pipeline everything is one time: once per
// microbatch or once per step.
TimePair weigh(const cost::CostTables& tables, double forward_ms, double backward_ms) {
  if (tables.shape.pp_degree == 1) {
    return {tables.shape.num_microbatches * (forward_ms + backward_ms), 0};
  }
  if (by_phase(tables.shape)) return {forward_ms, backward_ms};
  return {forward_ms + backward_ms, 0};
}

LayerOption make_option(const cost::CostTables& tables, const cost::LayerCost& layer, int in_flight,
                        int id) {
  const TimePair times = weigh(tables, layer.forward_ms, layer.backward_ms);
  LayerOption out;
  out.time = times.time;
  out.time2 = times.time2;
  out.once = layer.once_ms;
  if (tables.shape.pp_degree == 1) {
    out.time += layer.once_ms;
    out.once = 0;
  }
  out.fixed = layer.state_bytes - layer.activation_bytes +
              tables.kept({layer.activation_bytes, layer.small_activation_bytes}, in_flight);
  out.kept = layer.activation_bytes;
  out.gathered = layer.gathered_bytes;
  out.carried = tables.kept({layer.carried_bytes, layer.small_carried_bytes}, in_flight);
  out.layout = layer.layout;
  out.id = id;
  return out;
}

LayoutChanges make_layout_changes(const cost::CostTables& tables) {
  std::vector<LayoutChange> changes;
  for (const cost::Border& border : tables.borders) {
    LayoutChange& change = changes.emplace_back();
    for (const double one_way : border.transition_ms) {
      const auto [time, time2] = weigh(tables, one_way, one_way);
      change.time.push_back(time);
      change.time2.push_back(time2);
    }
  }
  return {static_cast<int>(tables.layouts.size()), std::move(changes), tables.border_behind};
}

}  // namespace

bool passes_with_no_more(const cost::LayerCost& a, const cost::LayerCost& b) {
  return a.gathered_bytes <= b.gathered_bytes && a.reducing_bytes <= b.reducing_bytes &&
         a.parameter_gradient_bytes <= b.parameter_gradient_bytes &&
         a.forward_workspace_bytes <= b.forward_workspace_bytes &&
         a.backward_workspace_bytes <= b.backward_workspace_bytes;
}

std::vector<std::vector<int>> tied_groups(const cost::CostTables& tables) {
  if (tables.tied_types.size() < 2) return {};
  std::map<decltype(plan::tied_values({})), int> number_of;  // ascending
  for (const int type : tables.tied_types) {
    for (const plan::LayerStrategy& one : tables.candidates[static_cast<std::size_t>(type)]) {
      number_of.try_emplace(plan::tied_values(one), 0);
    }
  }
  int next = 0;
  for (auto& [values, number] : number_of) number = next++;
  std::vector<std::vector<int>> groups;
  for (std::size_t type = 0; type < tables.candidates.size(); ++type) {
    const bool tied = tables.tied_types.contains(static_cast<int>(type));
    auto& row = groups.emplace_back();
    for (const plan::LayerStrategy& one : tables.candidates[type]) {
      row.push_back(tied ? number_of.at(plan::tied_values(one)) : -1);
    }
  }
  return groups;
}

ShapeQuestion::ShapeQuestion(const cost::CostTables& tables, const LayerRanges& ranges,
                             const std::vector<std::vector<int>>& group,
                             const ShapeOptions& options)
    : tables_(tables),
      ranges_(ranges),
      group_(group),
      options_(options),
      layout_changes_(make_layout_changes(tables)) {
  for (int stage = 0; stage < tables.shape.pp_degree; ++stage) {
    in_flight_.push_back(cost::microbatches_in_flight(tables.shape, stage));
  }
  transfer_.assign(static_cast<std::size_t>(tables.num_layers()) + 1, 0);
  for (int layer = 1; layer < tables.num_layers(); ++layer) {
    transfer_[static_cast<std::size_t>(layer)] = tables.border(layer).transfer_ms;
  }
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

TimePair ShapeQuestion::link_pace(int begin, int end) const {
  if (!by_phase(tables_.shape)) return {};
  return {transfer_[static_cast<std::size_t>(begin)], transfer_[static_cast<std::size_t>(end)]};
}

void ShapeQuestion::drop_dominated(std::size_t type, bool timed,
                                   std::vector<LayerOption>& options) const {
  for (LayerOption& one : options) {
    if (timed) break;
    one.time = one.time2 = one.once = 0;
    one.layout = 0;
  }
  // Sorted, only earlier ones of the same layout and group can dominate.
  const auto kind = [&](const LayerOption& option) {
    return std::pair{option.layout, group_of(type, option.id)};
  };
  const auto key = [&](const LayerOption& option) {
    return std::tuple{kind(option), option.time, option.time2, option.once,
                      option.fixed, option.kept, option.id};
  };
  std::sort(options.begin(), options.end(),
            [&](const LayerOption& a, const LayerOption& b) { return key(a) < key(b); });
  const auto cost_of = [&](const LayerOption& option) -> const cost::LayerCost& {
    return tables_.cost[type][static_cast<std::size_t>(option.id)];
  };
  std::vector<LayerOption> kept;
  std::size_t first = 0;  // of the same kind
  for (const LayerOption& one : options) {
    if (!kept.empty() && kind(kept.back()) != kind(one)) first = kept.size();
    const auto beats = [&](const LayerOption& other) {
      return dominates(other, cost_of(other), one, cost_of(one));
    };
    const auto begin = kept.begin() + static_cast<std::ptrdiff_t>(first);
    if (std::none_of(begin, kept.end(), beats)) kept.push_back(one);
  }
  std::sort(kept.begin(), kept.end(),
            [](const LayerOption& a, const LayerOption& b) { return a.id < b.id; });
  options = std::move(kept);
}

ShapeQuestion::TypeBounds ShapeQuestion::make_bounds(std::size_t type, int group) const {
  TypeBounds out;
  std::vector<Point> points;
  std::int64_t alone = std::numeric_limits<std::int64_t>::max();
  for (const int id : candidates_[type]) {
    if (!goes_with(type, id, group)) continue;
    const cost::LayerCost& cost = tables_.cost[type][static_cast<std::size_t>(id)];
    const LayerOption option = make_option(tables_, cost, 1, id);
    points.push_back({option.time + option.time2, option.once, static_cast<double>(option.fixed),
                      static_cast<double>(option.kept)});
    alone = std::min(
        alone, std::max(cost::forward_bytes(cost, nullptr), cost::backward_bytes(cost, nullptr)));
  }
  if (!points.empty()) out.alone = std::max<std::int64_t>(0, alone);
  const auto key = [](const Point& one) {
    return std::tuple(one.time, one.once, one.state, one.activation);
  };
  std::sort(points.begin(), points.end(),
            [&](const Point& a, const Point& b) { return key(a) < key(b); });
  for (const Point& one : points) {
    const auto beats = [&](const Point& other) {  // no slower: it comes first
      return other.once <= one.once && other.state <= one.state &&
             other.activation <= one.activation;
    };
    if (std::none_of(out.points.begin(), out.points.end(), beats)) out.points.push_back(one);
  }
  return out;
}

const ShapeQuestion::TypeBounds& ShapeQuestion::bounds(std::size_t type, int group) const {
  const bool tied = tables_.tied_types.contains(static_cast<int>(type));
  const auto [known, added] = bounds_.try_emplace({type, tied ? group : -1});
  if (added) known->second = make_bounds(type, group);
  return known->second;
}

StageFacts* ShapeQuestion::shared_facts(int in_flight, int range_kind) const {
  const std::vector<int>& counts = ranges_.counts(range_kind);
  for (const int type : tables_.tied_types) {
    if (counts[static_cast<std::size_t>(type)] > 0) return nullptr;
  }
  return &shared_facts_[{in_flight, range_kind}];
}

std::vector<LayerOption> ShapeQuestion::options_of(std::size_t type, int group, int in_flight,
                                                   bool timed) const {
  std::vector<LayerOption> out;
  for (const int id : candidates_[type]) {
    if (!goes_with(type, id, group)) continue;
    out.push_back(
        make_option(tables_, tables_.cost[type][static_cast<std::size_t>(id)], in_flight, id));
  }
  drop_dominated(type, timed, out);
  return out;
}

ShapeQuestion::Options ShapeQuestion::make_options(int group, int in_flight, bool timed) const {
  Options out;
  for (std::size_t type = 0; type < candidates_.size(); ++type) {
    if (tables_.tied_types.contains(static_cast<int>(type))) {
      out.push_back(options_of(type, group, in_flight, timed));
      continue;
    }
    const auto [known, added] = untied_options_.try_emplace({type, in_flight, timed});
    if (added) known->second = options_of(type, -1, in_flight, timed);
    out.push_back(known->second);
  }
  return out;
}

}  // namespace galvatron::search
