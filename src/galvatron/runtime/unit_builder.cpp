#include "galvatron/runtime/unit_builder.h"

#include <set>

#include "galvatron/base/error.h"

namespace galvatron::runtime {

at::ScalarType compute_scalar_type(spec::Precision precision) {
  switch (precision) {
    case spec::Precision::kFp64:
      return at::kDouble;
    case spec::Precision::kFp32:
      return at::kFloat;
    case spec::Precision::kBf16:
      return at::kBFloat16;
    case spec::Precision::kFp16:
      return at::kHalf;
  }
  GALV_CHECK(false, "unknown precision");
}

at::ScalarType state_scalar_type(spec::Precision precision) {
  return precision == spec::Precision::kFp64 ? at::kDouble : at::kFloat;
}

plan::RankSet tie_ranks(const spec::ModelSpec& model, const plan::Plan& plan,
                        const std::string& tied_name, int layer, int rank) {
  const auto pp_rank = [&](int of_layer) {
    return plan.pipeline.pp_rank_of_stage(plan.stage_of_layer(of_layer));
  };
  std::set<int> twins;
  for (int other = 0; other < model.num_layers(); ++other) {
    for (const spec::ParamSpec& param : model.layer(other).params) {
      if (param.tied_name != tied_name) continue;
      twins.insert(rank + (pp_rank(other) - pp_rank(layer)) * plan.ranks_per_stage());
    }
  }
  return twins.size() > 1 ? plan::RankSet(twins.begin(), twins.end()) : plan::RankSet{};
}

UnitBuilder::UnitBuilder(const spec::ModelSpec& model, const plan::Plan& plan,
                         const comm::World& world)
    : model_(model), plan_(plan), world_(world) {}

comm::Group UnitBuilder::tie_group(const std::string& tied_name, int layer) const {
  const plan::RankSet ranks = tie_ranks(model_, plan_, tied_name, layer, world_.rank());
  return ranks.empty() ? comm::Group() : world_.group(ranks);
}

ParamUnit* UnitBuilder::make_unit(const std::string& name, int layer, bool tp_divided,
                                  const std::vector<int>& params, bool tied) {
  const spec::LayerSpec& spec = model_.layer(layer);
  const plan::RankLayout layout = plan_.layout(layer);
  const int tp_degree = layout.strategy().tp_degree;
  const int tp_rank = layout.coordinates(world_.rank()).tp_rank;
  UnitOptions options;
  options.name = name;
  const bool divisible = spec.params[static_cast<std::size_t>(params[0])].split.divided();
  options.zero_stage = tied && !divisible ? 0 : layout.strategy().zero_stage;
  options.compute_type = compute_scalar_type(plan_.precision);
  options.state_type = state_scalar_type(plan_.precision);
  options.device = world_.device();
  options.replicas = world_.group(layout.replica_ranks(world_.rank(), tp_divided));
  if (tied)
    options.tie = tie_group(spec.params[static_cast<std::size_t>(params[0])].tied_name, layer);
  std::vector<ParamSlot> slots;
  for (const int index : params) {
    const spec::ParamSpec& param = spec.params[static_cast<std::size_t>(index)];
    slots.push_back({&param, spec.full_name(param), spec::local_ranges(param, tp_degree, tp_rank),
                     spec::local_shape(param, tp_degree, tp_rank), 0,
                     spec::local_numel(param, tp_degree, tp_rank)});
  }
  units_.push_back(std::make_unique<ParamUnit>(std::move(options), std::move(slots)));
  return units_.back().get();
}

std::vector<ParamRef> UnitBuilder::add_layer(int layer) {
  const spec::LayerSpec& spec = model_.layer(layer);
  const int tp_degree = plan_.strategy(layer).tp_degree;
  std::vector<int> divided, whole;
  std::vector<ParamRef> refs(spec.params.size());
  for (std::size_t i = 0; i < spec.params.size(); ++i) {
    const spec::ParamSpec& param = spec.params[i];
    const bool tp_divided = tp_degree > 1 && param.split.divided();
    if (param.tied_name.empty()) {
      (tp_divided ? divided : whole).push_back(static_cast<int>(i));
      continue;
    }
    ParamUnit*& unit = tied_[param.tied_name];
    if (unit == nullptr)
      unit = make_unit(param.tied_name, layer, tp_divided, {static_cast<int>(i)}, true);
    refs[i] = {unit, 0};
  }
  const auto group = [&](const std::vector<int>& params, bool tp_divided) {
    if (params.empty()) return;
    ParamUnit* unit =
        make_unit(spec.name + (tp_divided ? " (divided)" : ""), layer, tp_divided, params, false);
    for (const int index : params) {
      const auto i = static_cast<std::size_t>(index);
      refs[i] = {unit, unit->slot_of(spec.full_name(spec.params[i]))};
    }
  };
  group(divided, true);
  group(whole, false);
  return refs;
}

}  // namespace galvatron::runtime
