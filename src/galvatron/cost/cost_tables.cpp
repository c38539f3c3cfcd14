#include "galvatron/cost/cost_tables.h"

#include <limits>
#include <map>

#include "galvatron/base/error.h"
#include "galvatron/cost/layer_time.h"

namespace galvatron::cost {
namespace {

int layout_index(std::vector<plan::TokenLayout>& layouts, const plan::TokenLayout& layout) {
  const auto it = std::find(layouts.begin(), layouts.end(), layout);
  const int index = static_cast<int>(it - layouts.begin());
  if (it == layouts.end()) layouts.push_back(layout);
  return index;
}

LayerCost make_layer_cost(const CostInputs& inputs, const PipelineShape& shape, int layer,
                          const plan::LayerStrategy& strategy, const ParamUnits& units) {
  const MicrobatchSizes sizes = microbatch_sizes(inputs.job.global_batch, shape.num_microbatches);
  const auto time_of = [&](std::int64_t samples) {
    return layer_time(inputs, shape, layer, strategy, units, samples);
  };
  const LayerTime large = time_of(sizes.large);
  const LayerTime small = sizes.num_small > 0 ? time_of(sizes.small) : large;
  const LayerMemory memory = layer_memory(inputs, shape, layer, strategy, units, sizes.large);
  LayerCost out;
  out.forward_ms = sizes.mean(large.forward.total().value, small.forward.total().value);
  out.backward_ms = sizes.mean(large.backward.total().value, small.backward.total().value);
  out.once_ms = large.once().value;
  out.state_bytes = memory.states.total().value;
  out.activation_bytes = out.small_activation_bytes = memory.activation.value;
  out.carried_bytes = out.small_carried_bytes = memory.carried.value;
  if (sizes.num_small > 0) {
    const LayerMemory of_small = layer_memory(inputs, shape, layer, strategy, units, sizes.small);
    out.small_activation_bytes = of_small.activation.value;
    out.small_carried_bytes = of_small.carried.value;
  }
  out.gathered_bytes = memory.gathered.value;
  out.reducing_bytes = memory.reducing.value;
  out.parameter_gradient_bytes = memory.parameter_gradients.value;
  out.forward_workspace_bytes = memory.forward_workspace.value;
  out.backward_workspace_bytes = memory.backward_workspace.value;
  return out;
}

Border make_border(const CostInputs& inputs, const CostTables& tables, int layer) {
  const MicrobatchSizes sizes =
      microbatch_sizes(inputs.job.global_batch, tables.shape.num_microbatches);
  Border border;
  for (const plan::TokenLayout& from : tables.layouts) {
    for (const plan::TokenLayout& to : tables.layouts) {
      const auto time_of = [&](std::int64_t samples) {
        return transition_time(inputs, tables.shape, layer, from, to, samples).total().value;
      };
      border.transition_ms.push_back(sizes.mean(time_of(sizes.large), time_of(sizes.small)));
    }
  }
  if (tables.shape.pp_degree == 1) return border;
  const auto time_of = [&](std::int64_t samples) {
    return border_transfer_time(inputs, tables.shape, layer, samples).value;
  };
  border.transfer_ms = sizes.mean(time_of(sizes.large), time_of(sizes.small));
  return border;
}

void add_received(CostTables& tables, const CostInputs& inputs) {
  const MicrobatchSizes sizes =
      microbatch_sizes(inputs.job.global_batch, tables.shape.num_microbatches);
  // Of one microbatch alone nothing is posted while it comes back.
  if (tables.shape.pp_degree == 1 || tables.shape.num_microbatches == 1) return;
  tables.received_in_front.assign(tables.cost.size(), 0);
  tables.received_behind.assign(tables.cost.size(), 0);
  for (int layer = 1; layer < tables.num_layers(); ++layer) {
    const auto type_of = [&](int one) {
      return static_cast<std::size_t>(tables.type_of_layer[static_cast<std::size_t>(one)]);
    };
    const std::int64_t bytes = largest_chunk(border_bytes(inputs, layer, {}, sizes.large).value,
                                             tables.shape.ranks_per_stage);
    tables.received_in_front[type_of(layer)] = bytes;
    tables.received_behind[type_of(layer - 1)] = bytes;
  }
}

// One border per set of streams: layers of one type hand on the same.
void add_borders(CostTables& tables, const CostInputs& inputs) {
  std::vector<const std::vector<spec::StreamSpec>*> known;
  tables.border_behind.assign(tables.cost.size(), 0);
  for (int layer = 1; layer < tables.num_layers(); ++layer) {
    const std::vector<spec::StreamSpec>& streams = inputs.model.inputs_of(layer);
    const auto it = std::find_if(known.begin(), known.end(),
                                 [&](const auto* other) { return *other == streams; });
    const auto before = static_cast<std::size_t>(layer - 1);
    tables.border_behind[static_cast<std::size_t>(tables.type_of_layer[before])] =
        static_cast<int>(it - known.begin());
    if (it != known.end()) continue;
    known.push_back(&streams);
    tables.borders.push_back(make_border(inputs, tables, layer));
  }
}

// Moments of one layer, beside the activations up to it.
inline Transient forward_moment(const LayerCost& layer, const LayerCost* behind) {
  return {.when = Transient::When::kForward,
          .gathered = layer.gathered_bytes,
          .gathered_ahead = behind ? behind->gathered_bytes : 0,
          .workspace = layer.forward_workspace_bytes};
}

inline Transient backward_moment(const LayerCost& layer, const LayerCost* behind) {
  return {.when = Transient::When::kBackward,
          .gathered = layer.gathered_bytes,
          .workspace = layer.backward_workspace_bytes,
          .reducing_behind = behind ? behind->reducing_bytes : 0};
}

inline Transient backward_end(const LayerCost& layer, const LayerCost* behind) {
  return {.when = Transient::When::kBackwardEnds,
          .parameter_gradients = layer.parameter_gradient_bytes,
          .reducing = layer.reducing_bytes,
          .reducing_behind = behind ? behind->reducing_bytes : 0,
          .activations = -layer.activation_bytes};
}

const LayerCost& chosen(const CostTables& tables, std::span<const int> choice, std::int64_t layer) {
  return tables.layer_cost(static_cast<int>(layer), choice[static_cast<std::size_t>(layer)]);
}

// What Communication's windows let be there at once, of a plan's layers, or of any (empty).
std::int64_t window_bytes(const CostInputs& inputs,
                          const std::vector<plan::LayerStrategy>& layers) {
  const spec::Communication& communication = inputs.job.communication;
  int zero_stage = layers.empty() ? 3 : 0;  // the highest
  for (const plan::LayerStrategy& layer : layers)
    zero_stage = std::max(zero_stage, layer.zero_stage);
  const spec::Precision precision = inputs.job.precision;
  const std::int64_t params = inputs.model.num_params();
  std::int64_t out = 0;
  if (zero_stage >= 3)
    out += std::min(communication.gather_window.value, params * spec::compute_bytes(precision));
  const bool keeps = communication.reduces_each(zero_stage) || communication.reduces_in_bf16();
  if (communication.reduce_window && keeps) {
    out += std::min(communication.reduce_window->value,
                    params * spec::reduced_bytes(precision, communication));
  }
  return out;
}

CostTables tables_without_candidates(const CostInputs& inputs, const PipelineShape& shape) {
  CostTables tables;
  tables.shape = shape;
  for (const spec::LayerSpec& layer : inputs.model.layers) {
    tables.type_of_layer.push_back(layer.type);
  }
  tables.reserve_bytes = inputs.hardware.memory_reserve.value;
  tables.num_small = microbatch_sizes(inputs.job.global_batch, shape.num_microbatches).num_small;
  for (const int layer : inputs.model.tied_layers()) {
    tables.tied_types.insert(inputs.model.layer(layer).type);
  }
  tables.window_bytes = window_bytes(inputs, {});
  const auto num_types = inputs.model.type_names().size();
  tables.candidates.resize(num_types);
  tables.cost.resize(num_types);
  return tables;
}

// To the costs of the layer's type.
void add_candidate(CostTables& tables, const CostInputs& inputs, int layer,
                   const plan::LayerStrategy& strategy, const ParamUnits& units) {
  LayerCost cost = make_layer_cost(inputs, tables.shape, layer, strategy, units);
  cost.layout = layout_index(tables.layouts, tables.shape.layout(strategy).tokens());
  tables.cost[static_cast<std::size_t>(inputs.model.layer(layer).type)].push_back(cost);
}

}  // namespace

std::vector<Transient> transients(const LayerCost& layer, const LayerCost* before,
                                  const LayerCost* behind) {
  std::vector<Transient> out = {forward_moment(layer, behind), backward_moment(layer, behind),
                                backward_end(layer, behind)};
  out[1].gathered_ahead = out[2].gathered_ahead = before ? before->gathered_bytes : 0;
  return out;
}

std::int64_t forward_bytes(const LayerCost& layer, const LayerCost* behind) {
  return forward_moment(layer, behind).total();
}

std::int64_t backward_bytes(const LayerCost& layer, const LayerCost* behind) {
  return std::max(backward_moment(layer, behind).total(), backward_end(layer, behind).total());
}

CostTables build_cost_tables(const CostInputs& inputs, const PipelineShape& shape,
                             std::vector<std::vector<plan::LayerStrategy>> candidates) {
  CostTables tables = tables_without_candidates(inputs, shape);
  for (int type = 0; type < static_cast<int>(candidates.size()); ++type) {
    const int layer = inputs.model.first_layer_of_type(type);
    std::map<std::tuple<int, bool, int>, ParamUnits> units_of;  // by what divides parameters
    for (const plan::LayerStrategy& strategy : candidates[static_cast<std::size_t>(type)]) {
      auto [units, added] = units_of.try_emplace(
          {strategy.tp_degree, strategy.tp_consecutive, strategy.shard_degree});
      if (added) units->second = shape_units(inputs, shape, layer, strategy);
      add_candidate(tables, inputs, layer, strategy, units->second);
    }
  }
  tables.candidates = std::move(candidates);
  add_borders(tables, inputs);
  add_received(tables, inputs);
  return tables;
}

PlanTables build_plan_tables(const CostInputs& inputs, const plan::Plan& plan,
                             SharedWeights shared) {
  PlanTables out{tables_without_candidates(inputs, pipeline_shape(plan)), {}, {}};
  if (shared == SharedWeights::kInPlan) out.tables.window_bytes = window_bytes(inputs, plan.layers);
  std::vector<std::vector<ParamUnits>> known(out.tables.cost.size());  // [type][candidate]
  for (int layer = 0; layer < out.tables.num_layers(); ++layer) {
    const int its_type = inputs.model.layer(layer).type;
    const int first_of_its_type = inputs.model.first_layer_of_type(its_type);
    const auto type = static_cast<std::size_t>(its_type);
    std::vector<plan::LayerStrategy>& candidates = out.tables.candidates[type];
    const plan::LayerStrategy& strategy = plan.strategy(layer);
    const ParamUnits& units = out.units.emplace_back(
        shared == SharedWeights::kInPlan
            ? plan::param_units(inputs.model, plan, layer)
            : shape_units(inputs, out.tables.shape, first_of_its_type, strategy));
    std::size_t choice = 0;
    while (choice < candidates.size() &&
           (candidates[choice] != strategy || known[type][choice] != units)) {
      ++choice;
    }
    out.choice.push_back(static_cast<int>(choice));
    if (choice < candidates.size()) continue;
    candidates.push_back(strategy);
    known[type].push_back(units);
    add_candidate(out.tables, inputs, layer, strategy, units);
  }
  add_borders(out.tables, inputs);
  add_received(out.tables, inputs);
  return out;
}

StageNumbers stage_numbers(const CostTables& tables, std::span<const int> choice, Range layers,
                           int stage) {
  StageNumbers out;
  const auto transfer_ms = [&](std::int64_t layer) {
    return tables.border(static_cast<int>(layer)).transfer_ms;
  };
  out.forward_wait_ms = stage > 0 ? transfer_ms(layers.begin) : 0;
  out.backward_wait_ms = stage < tables.shape.num_stages() - 1 ? transfer_ms(layers.end) : 0;
  out.forward_ms = out.forward_wait_ms;
  out.backward_ms = out.backward_wait_ms;
  for (std::int64_t i = layers.begin; i < layers.end; ++i) {
    const LayerCost& layer = chosen(tables, choice, i);
    const double transition =
        i > 0 ? tables.transition(static_cast<int>(i), chosen(tables, choice, i - 1).layout,
                                  layer.layout)
              : 0;
    out.forward_ms += layer.forward_ms + transition;
    out.backward_ms += layer.backward_ms + transition;
    out.once_ms += layer.once_ms;
  }
  return out;
}

namespace {

// One stage with one microbatch in flight, at the moment of its peak.
struct StagePeak {
  std::int64_t state_bytes = 0;
  KeptBytes kept;               // of all its layers
  std::int64_t kept_bytes = 0;  // of those up to the layer that runs at the peak
  std::int64_t transient_bytes = 0;
  int layer = 0;
};

StagePeak stage_peak(const CostTables& tables, std::span<const int> choice, Range layers) {
  StagePeak peak;
  std::int64_t newest = -1;
  for (std::int64_t i = layers.begin; i < layers.end; ++i) {
    const LayerCost& layer = chosen(tables, choice, i);
    const LayerCost* before = i > layers.begin ? &chosen(tables, choice, i - 1) : nullptr;
    const LayerCost* behind = i + 1 < layers.end ? &chosen(tables, choice, i + 1) : nullptr;
    peak.state_bytes += layer.state_bytes;
    peak.kept.add(layer, i == layers.begin);
    const std::int64_t transient =
        std::max(forward_bytes(layer, behind),
                 (before ? before->gathered_bytes : 0) + backward_bytes(layer, behind));
    if (peak.kept.large + transient <= newest) continue;
    newest = peak.kept.large + transient;
    peak.layer = static_cast<int>(i);
    peak.transient_bytes = transient;
    peak.kept_bytes = peak.kept.large;
  }
  return peak;
}

}  // namespace

MemoryPeak stage_memory_peak(const CostTables& tables, std::span<const int> choice, Range layers,
                             int stage) {
  return rank_memory_peak(tables, choice, std::span(&layers, 1),
                          flight_moments(tables.shape, stage));
}

MemoryPeak rank_memory_peak(const CostTables& tables, std::span<const int> choice,
                            std::span<const Range> stages, std::span<const FlightMoment> moments) {
  std::vector<StagePeak> peaks;
  MemoryPeak out;
  for (const Range layers : stages) {
    peaks.push_back(stage_peak(tables, choice, layers));
    out.state_bytes += peaks.back().state_bytes;
  }
  out.reserve_bytes = tables.reserve_bytes;
  std::int64_t receiving = 0;
  for (const Range layers : stages) receiving = std::max(receiving, tables.receive_bytes(layers));
  std::int64_t most = -1;
  for (const FlightMoment& moment : moments) {
    const StagePeak& running = peaks[static_cast<std::size_t>(moment.running)];
    std::int64_t activations = running.kept_bytes - running.kept.large;
    for (std::size_t c = 0; c < peaks.size(); ++c) {
      activations += tables.kept(peaks[c].kept, moment.in_flight[c]);
    }
    if (activations + running.transient_bytes <= most) continue;
    most = activations + running.transient_bytes;
    out.activation_bytes = activations;
    out.transient_bytes = running.transient_bytes + receiving;
    out.layer = running.layer;
  }
  return out;
}

}  // namespace galvatron::cost
