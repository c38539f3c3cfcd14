#include "galvatron/cost/plan_cost.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/cost/cost_tables.h"
#include "galvatron/cost/plan_timeline.h"

namespace galvatron::cost {
namespace {

Milliseconds mix(Milliseconds a, double share_a, Milliseconds b) {
  return share_a * a + (1 - share_a) * b;
}

PhaseTime mix(const PhaseTime& a, double share_a, const PhaseTime& b) {
  return {mix(a.compute, share_a, b.compute),
          mix(a.exposed, share_a, b.exposed),
          mix(a.hidden, share_a, b.hidden),
          {mix(a.inside.intra_node, share_a, b.inside.intra_node),
           mix(a.inside.inter_node, share_a, b.inside.inter_node)}};
}

// The layer's row: means over the step's microbatches.
LayerRow layer_row(const CostInputs& inputs, const plan::Plan& plan, int stage, int layer,
                   const ParamUnits& units, const LayerTimes& times) {
  const PipelineShape shape = pipeline_shape(plan);
  const MicrobatchSizes sizes = microbatch_sizes(inputs.job.global_batch, shape.num_microbatches);
  const SizedLayer &large = times.large, &small = times.small;
  const double large_share = static_cast<double>(sizes.num_large) / shape.num_microbatches;

  LayerRow row;
  row.stage = stage;
  row.time = large.time;
  row.time.forward = mix(large.time.forward, large_share, small.time.forward);
  row.time.backward = mix(large.time.backward, large_share, small.time.backward);
  row.time.recompute = mix(large.time.recompute, large_share, small.time.recompute);
  row.time.tp = mix(large.time.tp, large_share, small.time.tp);
  row.transition = 2 * mix(large.transition.total(), large_share, small.transition.total());
  const auto memory_of = [&](std::int64_t samples) {
    return layer_memory(inputs, shape, layer, plan.strategy(layer), units, samples);
  };
  const bool begins_stage = plan.layers_of_stage(stage).begin == layer;
  const auto kept_by = [&](const LayerMemory& memory) {
    return begins_stage ? memory.activation + memory.carried : memory.activation;
  };
  row.memory = memory_of(sizes.large);
  row.small_activation = kept_by(sizes.num_small > 0 ? memory_of(sizes.small) : row.memory);
  row.memory.activation = kept_by(row.memory);
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
      const double transfers = cost.stages[static_cast<std::size_t>(stage)].transfers.value;
      exposed += cost.border_waits * transfers;
      hidden += (m - cost.border_waits) * transfers;
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

// The slowest rank's split by kinds of work: the split above, told apart further.
void tell_kinds(PlanCost& cost, const PipelineShape& shape) {
  using enum plan::StepKind;
  const double m = shape.num_microbatches;
  plan::StepKinds& kinds = cost.kinds;
  for (const LayerRow& row : cost.layers) {
    if (row.stage % shape.pp_degree != cost.slowest_rank) continue;
    const LayerTime& time = row.time;
    const PhaseTime both = PhaseTime(time.forward) += time.backward;
    kinds[kForward] += m * time.forward.compute.value;
    kinds[kBackward] += m * (time.backward.compute - time.recompute).value;
    kinds[kRecompute] += m * time.recompute.value;
    kinds[kOptimizer] += time.optimizer.value;
    kinds[kTp] += m * time.tp.value;
    kinds[kUlysses] += m * (both.inside.total() - time.tp).value;
    kinds[kZero] += m * (both.exposed - both.inside.total()).value;
    kinds[kGradients] += time.gradient_sync.exposed.value;
    kinds[kParameters] += time.parameter_gather.value;
    kinds[kLayoutChange] += m * row.transition.value;
  }
  for (int stage = cost.slowest_rank; stage < shape.num_stages(); stage += shape.pp_degree) {
    kinds[kTransfer] +=
        cost.border_waits * cost.stages[static_cast<std::size_t>(stage)].transfers.value;
  }
  kinds[kBubble] = cost.bubble.value;
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
  std::vector<LayerTimes> times;
  for (int stage = 0; stage < shape.num_stages(); ++stage) {
    const Range layers = plan.layers_of_stage(stage);
    for (auto i = static_cast<int>(layers.begin); i < static_cast<int>(layers.end); ++i) {
      const ParamUnits& units = made.units[static_cast<std::size_t>(i)];
      times.push_back(layer_times(inputs, plan, i, units));
      cost.layers.push_back(layer_row(inputs, plan, stage, i, units, times.back()));
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
  const PipelineTime time = pipeline_time(shape, numbers);
  cost.step_time = {time.ms};
  cost.border_waits = time.border_waits;
  cost.timeline = plan_timeline(inputs, plan, made.tables, times);
  cost.simulated_time = cost.timeline.total;
  const double tokens = static_cast<double>(inputs.job.global_batch * inputs.job.seq_length);
  cost.tokens_per_second = cost.step_time.value > 0 ? tokens / cost.step_time.value * 1000 : 0;
  split_step_time(cost, shape);
  tell_kinds(cost, shape);
  cost.factors = inputs.factors;
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
