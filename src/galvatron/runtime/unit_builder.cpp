#include "galvatron/runtime/unit_builder.h"

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

UnitBuilder::UnitBuilder(const spec::ModelSpec& model, const plan::Plan& plan,
                         const comm::World& world)
    : model_(model), plan_(plan), world_(world) {}

ParamUnit* UnitBuilder::make_unit(int layer, const plan::UnitSpec& unit) {
  const spec::LayerSpec& spec = model_.layer(layer);
  const plan::RankLayout layout = plan_.layout(layer);
  const int rank = world_.rank(), tp_degree = layout.strategy().tp_degree;
  UnitOptions options;
  options.name = unit.is_tied()    ? unit.tied_name
                 : unit.tp_divided ? spec.name + " (divided)"
                                   : spec.name;
  options.zero_stage = unit.zero_stage(layout.strategy().zero_stage);
  options.compute_type = compute_scalar_type(plan_.precision);
  options.state_type = state_scalar_type(plan_.precision);
  options.communication = plan_.communication;
  options.device = world_.device();
  const plan::UnitRanks ranks = plan::unit_ranks(unit, layout, rank);
  options.replicas = world_.group(ranks.replicas);
  options.shards = world_.group(ranks.shards);
  options.copies = world_.group(ranks.copies);
  if (unit.tp_divided) options.parts = world_.group(layout.tp_ranks(rank));
  if (unit.has_twins)
    options.tie = world_.group(plan::tie_ranks(model_, plan_, unit.tied_name, layer, rank));
  const int tp_rank = layout.coordinates(rank).tp_rank;
  std::vector<ParamSlot> slots;
  for (const int index : unit.params) {
    const spec::ParamSpec& param = spec.params[static_cast<std::size_t>(index)];
    slots.push_back({&param, spec.full_name(param), spec::local_ranges(param, tp_degree, tp_rank),
                     spec::local_shape(param, tp_degree, tp_rank), 0,
                     spec::local_numel(param, tp_degree, tp_rank), spec.is_block_matrix(param)});
  }
  units_.push_back(std::make_unique<ParamUnit>(std::move(options), std::move(slots)));
  return units_.back().get();
}

std::vector<ParamRef> UnitBuilder::add_layer(int layer) {
  const spec::LayerSpec& spec = model_.layer(layer);
  std::vector<ParamRef> refs(spec.params.size());
  for (const plan::UnitSpec& unit : plan::param_units(model_, plan_, layer)) {
    ParamUnit* made = unit.is_tied() ? tied_[unit.tied_name] : nullptr;
    if (made == nullptr) made = make_unit(layer, unit);
    if (unit.is_tied()) tied_[unit.tied_name] = made;
    made->add_reductions(made->reduces_each() ? plan_.num_microbatches
                         : unit.held_in_front ? 0
                                              : 1);
    for (const int index : unit.params) {
      const auto i = static_cast<std::size_t>(index);
      refs[i] = {made, made->slot_of(spec.full_name(spec.params[i]))};
    }
  }
  return refs;
}

}  // namespace galvatron::runtime
