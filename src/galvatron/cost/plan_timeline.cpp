#include "galvatron/cost/plan_timeline.h"

#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/plan/rank_parts.h"

namespace galvatron::cost {
namespace {

SizedLayer sized_layer(const CostInputs& inputs, const plan::Plan& plan, int layer,
                       const ParamUnits& units, std::int64_t samples) {
  const PipelineShape shape = pipeline_shape(plan);
  SizedLayer out{layer_time(inputs, shape, layer, plan.strategy(layer), units, samples), {}};
  if (layer > 0) {
    out.transition = transition_time(inputs, shape, layer, plan.layout(layer - 1).tokens(),
                                     plan.layout(layer).tokens(), samples);
  }
  return out;
}

// What of a layer lasts, in microbatches of each size.
struct BothSizes {
  MicrobatchSizes sizes;
  const plan::Plan& plan;

  // One for each microbatch, or one for all.
  template <typename T, typename Of>
  std::vector<T> per_microbatch(const LayerTimes& layer, Of of) const {
    if (sizes.num_small == 0) return {of(layer.large)};
    std::vector<T> out;
    for (int m = 0; m < plan.num_microbatches; ++m) {
      const bool is_large = plan.samples_of_microbatch(m).size() == sizes.large;
      out.push_back(of(is_large ? layer.large : layer.small));
    }
    return out;
  }
};

void add(std::vector<Milliseconds>& sum, const std::vector<Milliseconds>& more) {
  sum.resize(more.size());
  for (std::size_t i = 0; i < more.size(); ++i) sum[i] += more[i];
}

// What ends a layer's step in every list.
void add_end(StageTimes& stage, const LayerTime& layer) {
  stage.update += layer.optimizer;
  stage.parameter_gather += layer.parameter_gather;
}

void add_whole(StageTimes& stage, const LayerTimes& layer, const BothSizes& both) {
  add(stage.forward, both.per_microbatch<Milliseconds>(layer, [](const SizedLayer& one) {
    return one.time.forward.total() + one.transition.total();
  }));
  add(stage.backward, both.per_microbatch<Milliseconds>(layer, [](const SizedLayer& one) {
    return one.time.backward.total() + one.transition.total();
  }));
  add(stage.recompute, both.per_microbatch<Milliseconds>(
                           layer, [](const SizedLayer& one) { return one.time.recompute; }));
  stage.gradient_sync += layer.large.time.gradient_sync.total();
  add_end(stage, layer.large.time);
}

void add_passes(StageTimes& stage, const LayerTimes& layer, const BothSizes& both) {
  stage.layers.push_back(
      {both.per_microbatch<PassTime>(
           layer,
           [](const SizedLayer& one) -> PassTime {
             const PhaseTime& time = one.time.forward;
             return {ByLinks(time.inside) += one.transition, time.compute, {}};
           }),
       both.per_microbatch<PassTime>(layer, [](const SizedLayer& one) -> PassTime {
         const PhaseTime& time = one.time.backward;
         return {ByLinks(time.inside) += one.transition, time.compute, one.time.recompute};
       })});
  add_end(stage, layer.large.time);
}

std::vector<StageTimes> stage_times(const plan::Plan& plan, const CostTables& tables,
                                    const std::vector<LayerTimes>& layers, const BothSizes& both,
                                    bool in_full) {
  std::vector<StageTimes> out;
  for (int stage = 0; stage < plan.pipeline.num_stages(); ++stage) {
    const Range range = plan.layers_of_stage(stage);
    StageTimes& times = out.emplace_back();
    if (stage + 1 < plan.pipeline.num_stages())
      times.transfer = {tables.border(static_cast<int>(range.end)).transfer_ms};
    for (auto i = range.begin; i < range.end; ++i) {
      const LayerTimes& layer = layers[static_cast<std::size_t>(i)];
      in_full ? add_passes(times, layer, both) : add_whole(times, layer, both);
    }
  }
  return out;
}

RankTraffic rank_traffic(const CostInputs& inputs, const plan::Plan& plan, plan::RankParts parts,
                         const std::vector<plan::RankUnit>& units) {
  RankTraffic out{std::move(parts), {}};
  for (const plan::RankUnit& unit : units) {
    out.units.push_back(
        unit_time(inputs, pipeline_shape(plan), plan.strategy(unit.layer), unit.spec));
  }
  return out;
}

}  // namespace

LayerTimes layer_times(const CostInputs& inputs, const plan::Plan& plan, int layer,
                       const ParamUnits& units) {
  const MicrobatchSizes sizes = microbatch_sizes(inputs.job.global_batch, plan.num_microbatches);
  LayerTimes out{sized_layer(inputs, plan, layer, units, sizes.large), {}};
  out.small =
      sizes.num_small > 0 ? sized_layer(inputs, plan, layer, units, sizes.small) : out.large;
  return out;
}

Timeline plan_timeline(const CostInputs& inputs, const plan::Plan& plan, const CostTables& tables,
                       const std::vector<LayerTimes>& layers) {
  const BothSizes both{microbatch_sizes(inputs.job.global_batch, plan.num_microbatches), plan};
  const bool in_full =
      static_cast<std::int64_t>(layers.size()) * plan.num_microbatches <= kMostLayerSteps;
  const std::vector<StageTimes> stages = stage_times(plan, tables, layers, both, in_full);
  const plan::Pipeline& pipeline = plan.pipeline;
  if (!in_full) {
    return simulate(pipeline.schedule, plan.num_microbatches, stages, pipeline.stages_per_rank());
  }
  std::vector<std::vector<plan::RankUnit>> units;
  for (int rank = 0; rank < pipeline.degree; ++rank) {
    units.push_back(plan::rank_units(inputs.model, plan, rank));
  }
  plan::LoweredPlan lowered = plan::lower(inputs.model, plan, units);
  const auto problem = plan::check_schedule(lowered.lists, lowered.context);
  GALV_CHECK(!problem, "the lists of ", plan::to_text(pipeline.schedule), ": ",
             problem.value_or(""));
  std::vector<RankTraffic> traffic;
  for (std::size_t rank = 0; rank < units.size(); ++rank) {
    traffic.push_back(
        rank_traffic(inputs, plan, std::move(lowered.context.parts[rank]), units[rank]));
  }
  return simulate(lowered.lists, stages, traffic);
}

}  // namespace galvatron::cost
