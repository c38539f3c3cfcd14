#include "galvatron/cost/layer_memory.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "galvatron/base/error.h"

namespace galvatron::cost {
namespace {

LayerStates unit_states(const plan::UnitSpec& unit, int zero_stage, const spec::JobSpec& job) {
  const std::int64_t compute = spec::compute_bytes(job.precision);
  const std::int64_t state = spec::state_bytes(job.precision);
  const std::int64_t all = unit.elements, part = unit.owned(zero_stage);
  const int zero = unit.zero_stage(zero_stage);
  LayerStates out;
  out.parameters = {compute * (zero >= 3 ? part : all)};
  if (compute != state) out.master = {state * part};
  out.gradients = {state * (job.communication.reduces_each(zero) ? part : all)};
  out.optimizer = {state * unit.state_elements(*job.optimizer, unit.slices(zero_stage))};
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

Bytes bytes_of(const CostInputs& inputs, std::span<const spec::StreamSpec> streams,
               const plan::TokenLayout& layout, std::int64_t samples) {
  std::int64_t features = 0;  // of all tokens of a rank
  for (const spec::StreamSpec& stream : streams) {
    features +=
        largest_chunk(stream.length(inputs.job.seq_length), layout.seq_degree) * stream.width;
  }
  return {largest_chunk(samples, layout.dp_degree) * features *
          spec::compute_bytes(inputs.job.precision)};
}

std::span<const spec::StreamSpec> behind(std::span<const spec::StreamSpec> streams,
                                         std::size_t count) {
  return streams.subspan(std::min(count, streams.size()));
}

// Streams beside its own that a layer makes: T5's second embedding ends the encoder.
std::span<const spec::StreamSpec> made_for_all(const spec::ModelSpec& model, int layer) {
  const std::size_t come_in = model.inputs_of(layer).size();
  return behind(model.layer(layer).outputs, std::max<std::size_t>(1, come_in));
}

}  // namespace

LayerStates& LayerStates::operator+=(const LayerStates& other) {
  parameters += other.parameters;
  master += other.master;
  gradients += other.gradients;
  optimizer += other.optimizer;
  return *this;
}

ParamUnits shape_units(const CostInputs& inputs, const PipelineShape& shape, int layer,
                       const plan::LayerStrategy& strategy) {
  std::vector<int> pp_ranks(inputs.model.layers.size(), 0);
  if (shape.pp_degree > 1) std::iota(pp_ranks.begin(), pp_ranks.end(), 0);
  return plan::param_units(inputs.model, layer, shape.layout(strategy), pp_ranks);
}

LayerStates layer_states(const ParamUnits& units, int zero_stage, const spec::JobSpec& job) {
  LayerStates out;
  for (const plan::UnitSpec& unit : units) {
    if (!unit.held_in_front) out += unit_states(unit, zero_stage, job);
  }
  return out;
}

LayerMemory layer_memory(const CostInputs& inputs, const PipelineShape& shape, int layer,
                         const plan::LayerStrategy& strategy, const ParamUnits& units,
                         std::int64_t samples) {
  const spec::LayerSpec& spec = inputs.model.layer(layer);
  const spec::Precision precision = inputs.job.precision;
  LayerMemory out;
  out.states = layer_states(units, strategy.zero_stage, inputs.job);
  const std::int64_t compute = spec::compute_bytes(precision);
  const std::int64_t state = spec::state_bytes(precision);
  const spec::Communication& communication = inputs.job.communication;
  const bool narrows = communication.reduces_in_bf16();
  const std::int64_t reduced = spec::reduced_bytes(precision, communication);
  Bytes slices;
  for (const plan::UnitSpec& unit : units) {
    const int zero = unit.zero_stage(strategy.zero_stage);
    out.parameter_gradients += Bytes{compute * unit.elements};
    if (zero >= 3) out.gathered += Bytes{compute * unit.elements};
    if (!communication.reduces_each(zero)) {
      // The gradient stays, but a narrower copy of it is what travels.
      if (narrows)
        out.reducing += Bytes{reduced * (unit.elements + (zero > 0 ? unit.owned(zero) : 0))};
      continue;
    }
    out.reducing += Bytes{state * unit.elements};
    // From the second microbatch on the reduced slice lands beside the sum so far; a narrower one
    // always does.
    if (shape.num_microbatches > 1 || narrows) slices += Bytes{reduced * unit.owned(zero)};
  }
  // The slices are made when the parameters' gradients are gone.
  out.reducing += slices;
  out.parameter_gradients -= std::min(out.parameter_gradients, slices);
  const LocalWork work = local_work(inputs, shape, layer, strategy, samples);
  const plan::TokenLayout layout = shape.layout(strategy).tokens();
  const Bytes input = own_input_bytes(inputs, layer, layout, samples);
  profiles::LayerMeasurement cost =
      inputs.profile.lookup(spec.type, strategy.tp_degree, work.profile_samples);
  cost.activation += ulysses_copy(spec, strategy, work, precision);
  add_activations(out, cost, input, strategy.recompute);
  out.activation += bytes_of(inputs, made_for_all(inputs.model, layer), layout, samples);
  out.carried = bytes_of(inputs, behind(inputs.model.inputs_of(layer), 1), layout, samples);
  return out;
}

Bytes own_input_bytes(const CostInputs& inputs, int layer, const plan::TokenLayout& layout,
                      std::int64_t samples) {
  const std::span<const spec::StreamSpec> streams = inputs.model.inputs_of(layer);
  return bytes_of(inputs, streams.first(std::min<std::size_t>(1, streams.size())), layout, samples);
}

Bytes border_bytes(const CostInputs& inputs, int layer, const plan::TokenLayout& layout,
                   std::int64_t samples) {
  return bytes_of(inputs, inputs.model.inputs_of(layer), layout, samples);
}

}  // namespace galvatron::cost
