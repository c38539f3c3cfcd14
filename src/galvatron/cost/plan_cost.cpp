#include "galvatron/cost/plan_cost.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/cost/cost_tables.h"

namespace galvatron::cost {
namespace {

// Times of a layer in every microbatch of one size.
struct SizedLayer {
  LayerTime time;
  double transition_ms = 0;  // in front of it, one direction
};

SizedLayer sized_layer(const CostInputs& inputs, const PipelineShape& shape, const plan::Plan& plan,
                       int layer, const ParamUnits& units, std::int64_t samples) {
  const plan::LayerStrategy& strategy = plan.strategy(layer);
  SizedLayer out{layer_time(inputs, shape, layer, strategy, units, samples), 0};
  if (layer > 0) {
    out.transition_ms = transition_time(inputs, shape, layer, plan.layout(layer - 1).tokens(),
                                        plan.layout(layer).tokens(), samples)
                            .value;
  }
  return out;
}

Milliseconds mix(Milliseconds a, double share_a, Milliseconds b) {
  return share_a * a + (1 - share_a) * b;
}

PhaseTime mix(const PhaseTime& a, double share_a, const PhaseTime& b) {
  return {mix(a.compute, share_a, b.compute), mix(a.exposed, share_a, b.exposed),
          mix(a.hidden, share_a, b.hidden)};
}

// The layer's row: means over the step's microbatches. Also adds the layer to its stage's times.
LayerRow layer_row(const CostInputs& inputs, const plan::Plan& plan, int stage, int layer,
                   const ParamUnits& units, StageTimes& stage_times) {
  const PipelineShape shape = pipeline_shape(plan);
  const MicrobatchSizes sizes = microbatch_sizes(inputs.job.global_batch, shape.num_microbatches);
  const plan::LayerStrategy& strategy = plan.strategy(layer);
  const auto of_size = [&](std::int64_t samples) {
    return sized_layer(inputs, shape, plan, layer, units, samples);
  };
  const SizedLayer large = of_size(sizes.large);
  const SizedLayer small = sizes.num_small > 0 ? of_size(sizes.small) : large;
  const double large_share = static_cast<double>(sizes.num_large) / shape.num_microbatches;

  LayerRow row;
  row.stage = stage;
  row.time = large.time;
  row.time.forward = mix(large.time.forward, large_share, small.time.forward);
  row.time.backward = mix(large.time.backward, large_share, small.time.backward);
  row.time.recompute = mix(large.time.recompute, large_share, small.time.recompute);
  row.time.tp = mix(large.time.tp, large_share, small.time.tp);
  row.time.ulysses = mix(large.time.ulysses, large_share, small.time.ulysses);
  row.transition =
      2 * mix(Milliseconds{large.transition_ms}, large_share, Milliseconds{small.transition_ms});
  row.memory = layer_memory(inputs, shape, layer, strategy, units, sizes.large);
  for (int m = 0; m < shape.num_microbatches; ++m) {
    const bool is_large = plan.samples_of_microbatch(m).size() == sizes.large;
    const SizedLayer& sized = is_large ? large : small;
    const Milliseconds transition{sized.transition_ms};
    stage_times.forward[static_cast<std::size_t>(m)] += sized.time.forward.total() + transition;
    stage_times.backward[static_cast<std::size_t>(m)] += sized.time.backward.total() + transition;
  }
  stage_times.gradient_sync += row.time.gradient_sync.total();
  stage_times.update += row.time.optimizer + row.time.parameter_gather;
  return row;
}

// What a stage waits for its borders, both directions.
Milliseconds transfers(const CostTables& tables, int stage, Range layers) {
  const auto border_ms = [&](std::int64_t layer) {
    return Milliseconds{tables.border(static_cast<int>(layer)).transfer_ms};
  };
  Milliseconds out;
  if (stage > 0) out += border_ms(layers.begin);
  if (stage < tables.shape.num_stages() - 1) out += border_ms(layers.end);
  return out;
}

MemoryPeak rank_peak(const PlanTables& made, const plan::Plan& plan, int pp_rank) {
  std::vector<Range> stages;
  for (const int stage : plan.pipeline.stages_of_rank(pp_rank)) {
    stages.push_back(plan.layers_of_stage(stage));
  }
  return rank_memory_peak(made.tables, made.choice, stages,
                          flight_moments(made.tables.shape, pp_rank));
}

StageMemory rank_memory(const PlanTables& made, const plan::Plan& plan,
                        const std::vector<LayerRow>& rows, int pp_rank) {
  const MemoryPeak peak = rank_peak(made, plan, pp_rank);
  StageMemory out;
  for (const LayerRow& row : rows) {
    if (plan.pipeline.pp_rank_of_stage(row.stage) == pp_rank) out.states += row.memory.states;
  }
  GALV_CHECK(out.states.total().value == peak.state_bytes, out.states.total().value, " and ",
             peak.state_bytes, " bytes of states");
  out.activations = {peak.activation_bytes};
  out.transient = {peak.transient_bytes};
  out.reserve = {peak.reserve_bytes};
  return out;
}

// Where the step's time goes, seen from the pipeline rank that computes longest.
void split_step_time(PlanCost& cost, const PipelineShape& shape) {
  const double m = shape.num_microbatches;
  for (int pp_rank = 0; pp_rank < shape.pp_degree; ++pp_rank) {
    double compute = 0, exposed = 0, hidden = 0;
    for (const LayerRow& row : cost.layers) {
      if (row.stage % shape.pp_degree != pp_rank) continue;
      const LayerTime& time = row.time;
      compute += m * (time.forward.compute + time.backward.compute).value + time.optimizer.value;
      exposed += m * (time.forward.exposed + time.backward.exposed + row.transition).value +
                 (time.gradient_sync.exposed + time.parameter_gather).value;
      hidden +=
          m * (time.forward.hidden + time.backward.hidden).value + time.gradient_sync.hidden.value;
    }
    for (int stage = pp_rank; stage < shape.num_stages(); stage += shape.pp_degree) {
      exposed += m * cost.stages[static_cast<std::size_t>(stage)].transfers.value;
    }
    if (compute + exposed <= (cost.compute + cost.exposed_communication).value) continue;
    cost.slowest_rank = pp_rank;
    cost.compute = {compute};
    cost.exposed_communication = {exposed};
    cost.hidden_communication = {hidden};
  }
  cost.bubble = cost.step_time - cost.compute - cost.exposed_communication;
  cost.bubble = std::max(cost.bubble, Milliseconds{});
}

}  // namespace

Bytes PlanCost::peak_memory() const {
  Bytes peak;
  for (const StageCost& stage : stages) peak = std::max(peak, stage.memory.total());
  return peak;
}

PlanCost estimate(const CostInputs& inputs, const plan::Plan& plan) {
  GALV_CHECK(plan.layers.size() == inputs.model.layers.size(), "plan of ", plan.layers.size(),
             " layers for a model of ", inputs.model.layers.size());
  GALV_CHECK(plan.global_batch == inputs.job.global_batch, "plan for a batch of ",
             plan.global_batch, ", job of ", inputs.job.global_batch);
  const PlanTables made = build_plan_tables(inputs, plan);
  const PipelineShape& shape = made.tables.shape;
  PlanCost cost;
  cost.optimizer = inputs.job.optimizer->name;
  std::vector<StageNumbers> numbers;
  std::vector<StageTimes> times;
  for (int stage = 0; stage < shape.num_stages(); ++stage) {
    const Range layers = plan.layers_of_stage(stage);
    StageTimes& stage_times = times.emplace_back();
    stage_times.forward.resize(static_cast<std::size_t>(shape.num_microbatches));
    stage_times.backward.resize(static_cast<std::size_t>(shape.num_microbatches));
    if (stage < shape.num_stages() - 1) {
      stage_times.transfer = {made.tables.border(static_cast<int>(layers.end)).transfer_ms};
    }
    for (auto i = static_cast<int>(layers.begin); i < static_cast<int>(layers.end); ++i) {
      cost.layers.push_back(
          layer_row(inputs, plan, stage, i, made.units[static_cast<std::size_t>(i)], stage_times));
    }
    numbers.push_back(stage_numbers(made.tables, made.choice, layers, stage));
    cost.stages.push_back({layers,
                           {numbers.back().forward_ms},
                           {numbers.back().backward_ms},
                           {numbers.back().once_ms},
                           transfers(made.tables, stage, layers),
                           {},
                           plan.pipeline.pp_rank_of_stage(stage)});
  }
  for (int pp_rank = 0; pp_rank < shape.pp_degree; ++pp_rank) {
    const StageMemory memory = rank_memory(made, plan, cost.layers, pp_rank);
    for (const int stage : plan.pipeline.stages_of_rank(pp_rank)) {
      cost.stages[static_cast<std::size_t>(stage)].memory = memory;
    }
  }
  cost.step_time = {pipeline_time_ms(shape, numbers)};
  cost.timeline = simulate(shape.schedule, shape.num_microbatches, times, shape.stages_per_rank);
  cost.simulated_time = cost.timeline.total;
  const double tokens = static_cast<double>(inputs.job.global_batch * inputs.job.seq_length);
  cost.tokens_per_second = cost.step_time.value > 0 ? tokens / cost.step_time.value * 1000 : 0;
  split_step_time(cost, shape);
  return cost;
}

SearchedCost cost_as_searched(const CostInputs& inputs, const plan::Plan& plan) {
  const PlanTables made = build_plan_tables(inputs, plan, SharedWeights::kInSearch);
  const PipelineShape& shape = made.tables.shape;
  std::vector<StageNumbers> numbers;
  for (int stage = 0; stage < shape.num_stages(); ++stage) {
    numbers.push_back(stage_numbers(made.tables, made.choice, plan.layers_of_stage(stage), stage));
  }
  SearchedCost out{{pipeline_time_ms(shape, numbers)}, {}};
  for (int pp_rank = 0; pp_rank < shape.pp_degree; ++pp_rank) {
    out.peak_memory = std::max(out.peak_memory, Bytes{rank_peak(made, plan, pp_rank).total()});
  }
  return out;
}

}  // namespace galvatron::cost
