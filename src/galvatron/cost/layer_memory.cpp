#include "galvatron/cost/layer_memory.h"

#include <algorithm>

#include "galvatron/base/error.h"

namespace galvatron::cost {
namespace {

// Shards stay aligned to 16 elements.
constexpr std::int64_t kAlignment = 16;

std::int64_t shard(const ShardingUnit& unit) { return unit.elements / unit.replicas; }

LayerStates unit_states(const ShardingUnit& unit, int zero_stage, const spec::JobSpec& job) {
  const std::int64_t compute = spec::compute_bytes(job.precision);
  const std::int64_t state = spec::state_bytes(job.precision);
  const std::int64_t all = unit.elements, part = shard(unit);
  LayerStates out;
  out.parameters = {compute * (zero_stage >= 3 ? part : all)};
  if (compute != state) out.master = {state * (zero_stage >= 1 ? part : all)};
  out.gradients = {state * (zero_stage >= 2 ? part : all)};
  out.optimizer = {spec::optimizer_bytes(job) * (zero_stage >= 1 ? part : all)};
  return out;
}

// Of the forward that a recomputation runs again, everything that it saved is back in memory.
void add_activations(LayerMemory& out, const profiles::LayerMeasurement& cost, Bytes input,
                     plan::Recompute recompute) {
  out.forward_workspace = cost.forward_workspace;
  out.backward_workspace = cost.backward_workspace;
  switch (recompute) {
    case plan::Recompute::kNone:
      out.activation = input + cost.activation;
      return;
    case plan::Recompute::kSelective:
      out.activation = input + cost.activation_selective;
      out.backward_workspace +=
          cost.activation - std::min(cost.activation, cost.activation_selective);
      return;
    case plan::Recompute::kFull:
      out.activation = input;
      out.backward_workspace += cost.activation;
      return;
  }
}

// Attention keeps its result by heads, the output projection the same by tokens: under Ulysses
// these are two tensors, and profiles are measured without it.
Bytes ulysses_copy(const spec::LayerSpec& spec, const plan::LayerStrategy& strategy,
                   const LocalWork& work, spec::Precision precision) {
  if (spec.kind != spec::LayerKind::kBlock || strategy.ulysses_degree == 1) return {};
  return {work.samples * work.block_tokens * spec.shape.num_heads * spec.shape.head_size /
          strategy.tp_degree * spec::compute_bytes(precision)};
}

}  // namespace

LayerStates& LayerStates::operator+=(const LayerStates& other) {
  parameters += other.parameters;
  master += other.master;
  gradients += other.gradients;
  optimizer += other.optimizer;
  return *this;
}

ShardingUnits sharding_units(const CostInputs& inputs, const PipelineShape& shape, int layer,
                             const plan::LayerStrategy& strategy) {
  enum { kDivided, kWhole, kTied };
  const int tp_degree = strategy.tp_degree;
  const plan::RankStrides strides = shape.layout(strategy).strides();
  std::array<std::int64_t, 3> elements{};
  bool tied_divided = false;
  const spec::LayerSpec& spec = inputs.model.layer(layer);
  for (const spec::ParamSpec& param : spec.params) {
    const bool divided = tp_degree > 1 && param.split.divided();
    const bool tied = !param.tied_name.empty();
    if (tied) tied_divided = divided;
    // The last of balanced chunks is a largest one.
    elements[tied      ? kTied
             : divided ? kDivided
                       : kWhole] += spec::local_numel(param, tp_degree, tp_degree - 1);
  }
  const auto unit = [&](std::int64_t count, bool divided) {
    const int replicas = shape.ranks_per_stage / (divided ? tp_degree : 1);
    return ShardingUnit{round_up(count, kAlignment * replicas), replicas,
                        divided ? strides.ulysses : 1};
  };
  return {{unit(elements[kDivided], true), unit(elements[kWhole], false),
           unit(elements[kTied], tied_divided)},
          shares_weight_in_front(inputs, shape, layer)};
}

LayerStates layer_states(const ShardingUnits& units, int zero_stage, const spec::JobSpec& job) {
  LayerStates out = unit_states(units.units[0], zero_stage, job);
  out += unit_states(units.units[1], zero_stage, job);
  if (!units.shares_tied) out += unit_states(units.units[2], zero_stage, job);
  return out;
}

LayerMemory layer_memory(const CostInputs& inputs, const PipelineShape& shape, int layer,
                         const plan::LayerStrategy& strategy, const ShardingUnits& units,
                         std::int64_t samples) {
  const spec::LayerSpec& spec = inputs.model.layer(layer);
  const spec::Precision precision = inputs.job.precision;
  LayerMemory out;
  out.states = layer_states(units, strategy.zero_stage, inputs.job);
  const std::int64_t compute = spec::compute_bytes(precision);
  const std::int64_t state = spec::state_bytes(precision);
  for (const ShardingUnit& unit : units.units) {
    out.parameter_gradients += Bytes{compute * unit.elements};
    if (strategy.zero_stage >= 3) out.gathered += Bytes{compute * unit.elements};
    if (strategy.zero_stage < 2) continue;
    // From the second microbatch on the reduced slice lands beside the sum so far.
    const std::int64_t slice = shape.num_microbatches > 1 ? shard(unit) : 0;
    out.reducing += Bytes{state * (unit.elements + slice)};
  }
  const LocalWork work = local_work(inputs, shape, layer, strategy, samples);
  const Bytes input = border_bytes(inputs, layer, shape.layout(strategy).tokens(), samples);
  profiles::LayerMeasurement cost =
      inputs.profile.lookup(spec.type, strategy.tp_degree, work.profile_samples);
  cost.activation += ulysses_copy(spec, strategy, work, precision);
  add_activations(out, cost, input, strategy.recompute);
  return out;
}

Bytes border_bytes(const CostInputs& inputs, int layer, const plan::TokenLayout& layout,
                   std::int64_t samples) {
  std::int64_t features = 0;  // of all tokens of a rank
  for (const spec::StreamSpec& stream : inputs.model.inputs_of(layer)) {
    features +=
        largest_chunk(stream.length(inputs.job.seq_length), layout.seq_degree) * stream.width;
  }
  return {largest_chunk(samples, layout.dp_degree) * features *
          spec::compute_bytes(inputs.job.precision)};
}

}  // namespace galvatron::cost
