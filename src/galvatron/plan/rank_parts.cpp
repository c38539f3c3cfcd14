#include "galvatron/plan/rank_parts.h"

#include <algorithm>
#include <utility>

namespace galvatron::plan {
namespace {

RankUnit* find_tied(std::vector<RankUnit>& units, const UnitSpec& unit) {
  if (!unit.is_tied()) return nullptr;
  const auto it = std::find_if(units.begin(), units.end(), [&](const RankUnit& other) {
    return other.spec.tied_name == unit.tied_name;
  });
  return it == units.end() ? nullptr : &*it;
}

UnitTraffic traffic_of(const Plan& plan, const RankUnit& unit) {
  const int zero_stage = unit.spec.zero_stage(plan.strategy(unit.layer).zero_stage);
  const bool in_bf16 = plan.communication.reduces_in_bf16();
  const bool each = plan.communication.reduces_each(zero_stage);
  const std::int64_t elements = unit.spec.elements;
  UnitTraffic out{unit.used_by, zero_stage == 3, each,
                  unit.spec.has_twins ? unit.spec.tied_name : ""};
  out.gathered_bytes = elements * spec::compute_bytes(plan.precision);
  out.reduced_bytes = elements * spec::reduced_bytes(plan.precision, plan.communication);
  out.reduction_is_costly = each || in_bf16 || (zero_stage > 0 && unit.spec.copies.size > 1);
  return out;
}

}  // namespace

std::vector<RankUnit> rank_units(const spec::ModelSpec& model, const Plan& plan, int pp_rank) {
  std::vector<RankUnit> units;
  for (const int stage : plan.pipeline.stages_of_rank(pp_rank)) {
    const Range layers = plan.layers_of_stage(stage);
    for (auto layer = static_cast<int>(layers.begin); layer < layers.end; ++layer) {
      for (UnitSpec& unit : param_units(model, plan, layer)) {
        if (RankUnit* known = find_tied(units, unit)) {
          known->used_by.push_back(layer);
        } else {
          units.push_back({layer, std::move(unit), {layer}});
        }
      }
    }
  }
  return units;
}

RankParts rank_parts(const spec::ModelSpec& model, const Plan& plan, int pp_rank,
                     const std::vector<RankUnit>& units, bool trains) {
  RankParts parts;
  for (const int stage : plan.pipeline.stages_of_rank(pp_rank)) {
    parts.layers.push_back(plan.layers_of_stage(stage));
  }
  parts.changes_layout.push_back(false);
  for (int layer = 1; layer < model.num_layers(); ++layer) {
    parts.changes_layout.push_back(plan.layout(layer - 1).tokens() != plan.layout(layer).tokens());
  }
  for (const RankUnit& unit : units) parts.units.push_back(traffic_of(plan, unit));
  if (plan.communication.reduce_window)
    parts.reduce_window = plan.communication.reduce_window->value;
  parts.gather_window = plan.communication.gather_window.value;
  const bool has_loss = parts.layers.back().end == model.num_layers();
  if (trains && has_loss) parts.loss_layer = model.num_layers() - 1;
  return parts;
}

LoweredPlan lower(const spec::ModelSpec& model, const Plan& plan,
                  const std::vector<std::vector<RankUnit>>& units) {
  const Pipeline& pipeline = plan.pipeline;
  LoweredPlan out;
  out.context.shape = {pipeline.degree, plan.num_microbatches, pipeline.stages_per_rank()};
  const auto compute = make_schedules(pipeline.schedule, out.context.shape);
  for (int rank = 0; rank < pipeline.degree; ++rank) {
    const auto i = static_cast<std::size_t>(rank);
    out.context.parts.push_back(rank_parts(model, plan, rank, units[i]));
    out.context.most_in_flight.push_back(max_in_flight(compute[i]));
    out.lists.push_back(lower(compute[i], rank, pipeline.degree, out.context.parts.back()));
  }
  return out;
}

}  // namespace galvatron::plan
