#include "galvatron/plan/param_units.h"

#include <algorithm>
#include <set>

namespace galvatron::plan {
namespace {

bool uses(const spec::LayerSpec& layer, const std::string& tied_name) {
  return std::any_of(layer.params.begin(), layer.params.end(),
                     [&](const spec::ParamSpec& param) { return param.tied_name == tied_name; });
}

// Means of its rows and of its columns.
std::int64_t factors_of(const spec::ParamSpec& param) {
  const std::int64_t rows = param.shape.end()[-2], columns = param.shape.back(),
                     others = param.numel() / rows / columns;
  return others * (rows + columns * static_cast<std::int64_t>(spec::matrix_rows(param).size()));
}

// Pipeline rank of every layer.
std::vector<int> pp_ranks_of_layers(const Plan& plan) {
  std::vector<int> out;
  for (int stage = 0; stage < plan.pipeline.num_stages(); ++stage) {
    out.resize(static_cast<std::size_t>(plan.layers_of_stage(stage).end),
               plan.pipeline.pp_rank_of_stage(stage));
  }
  return out;
}

UnitSpec tied_unit(const spec::ModelSpec& model, int layer, const spec::ParamSpec& param,
                   std::span<const int> pp_ranks) {
  UnitSpec unit;
  unit.tied_name = param.tied_name;
  unit.never_sharded = !param.split.divided();
  for (int other = 0; other < model.num_layers(); ++other) {
    if (!uses(model.layer(other), param.tied_name)) continue;
    const bool here =
        pp_ranks[static_cast<std::size_t>(other)] == pp_ranks[static_cast<std::size_t>(layer)];
    unit.held_in_front |= here && other < layer;
    unit.has_twins |= !here;
  }
  return unit;
}

void divide_replicas(UnitSpec& unit, const RankLayout& layout) {
  const LayerStrategy& strategy = layout.strategy();
  unit.replicas = unit.shards = layout.replica_line(unit.tp_divided);
  // Copies of what is never sharded are of one size, whatever their layers do.
  if (strategy.shard_degree > 0 && !unit.never_sharded)
    unit.shards.size = strategy.shard_degree * (unit.tp_divided ? 1 : strategy.tp_degree);
  unit.copies = {unit.replicas.size / unit.shards.size, unit.shards.size * unit.shards.stride};
}

}  // namespace

std::vector<UnitSpec> param_units(const spec::ModelSpec& model, int layer, const RankLayout& layout,
                                  std::span<const int> pp_ranks) {
  const spec::LayerSpec& spec = model.layer(layer);
  const int tp_degree = layout.strategy().tp_degree;
  UnitSpec divided, whole;
  divided.tp_divided = true;
  std::vector<UnitSpec> tied;
  for (std::size_t i = 0; i < spec.params.size(); ++i) {
    const spec::ParamSpec& param = spec.params[i];
    const bool tp_divided = tp_degree > 1 && param.split.divided();
    UnitSpec* unit = tp_divided ? &divided : &whole;
    if (!param.tied_name.empty()) {
      unit = &tied.emplace_back(tied_unit(model, layer, param, pp_ranks));
      unit->tp_divided = tp_divided;
    }
    unit->params.push_back(static_cast<int>(i));
    // The last of balanced chunks is a largest one.
    const std::int64_t numel = spec::local_numel(param, tp_degree, tp_degree - 1);
    unit->elements += numel;
    if (spec.is_block_matrix(param)) unit->matrix_elements += numel;
    if (param.shape.size() < 2) continue;
    unit->table_elements += numel;
    unit->factor_elements += factors_of(param);
  }
  std::vector<UnitSpec> units;
  const auto add = [&](UnitSpec& unit) {
    if (unit.params.empty()) return;
    divide_replicas(unit, layout);
    unit.elements = padded_elements(unit.elements, unit.shards.size);
    units.push_back(std::move(unit));
  };
  for (UnitSpec& unit : tied) add(unit);
  add(divided);
  add(whole);
  return units;
}

std::vector<UnitSpec> param_units(const spec::ModelSpec& model, const Plan& plan, int layer) {
  return param_units(model, layer, plan.layout(layer), pp_ranks_of_layers(plan));
}

std::int64_t UnitSpec::state_elements(const spec::OptimizerSpec& optimizer,
                                      std::int64_t slices) const {
  const std::int64_t part = (elements + slices - 1) / slices;
  if (optimizer.factors) return std::min(part, elements - table_elements) + factor_elements;
  const auto all = static_cast<std::int64_t>(optimizer.states.size()),
             fewer = static_cast<std::int64_t>(optimizer.not_of_matrices.size());
  return (all - fewer) * part + fewer * std::min(part, elements - matrix_elements);
}

UnitRanks unit_ranks(const UnitSpec& unit, const RankLayout& layout, int rank) {
  UnitRanks out{layout.replica_ranks(rank, unit.tp_divided), {}, {}};
  const int first = out.replicas.front();
  const int place = (rank - first) / unit.replicas.stride;
  const int in_shards = place % unit.shards.size;
  out.shards = ranks_of(rank - in_shards * unit.shards.stride, unit.shards);
  out.copies = ranks_of(first + in_shards * unit.shards.stride, unit.copies);
  return out;
}

RankSet tie_ranks(const spec::ModelSpec& model, const Plan& plan, const std::string& tied_name,
                  int layer, int rank) {
  const std::vector<int> pp_ranks = pp_ranks_of_layers(plan);
  const int here = pp_ranks[static_cast<std::size_t>(layer)];
  std::set<int> twins;
  for (int other = 0; other < model.num_layers(); ++other) {
    if (!uses(model.layer(other), tied_name)) continue;
    const int there = pp_ranks[static_cast<std::size_t>(other)];
    twins.insert(rank + (there - here) * plan.ranks_per_stage());
  }
  return twins.size() > 1 ? RankSet(twins.begin(), twins.end()) : RankSet{};
}

}  // namespace galvatron::plan
