// The numbers that the search optimises, and the exact rule by which they make a plan's time and
// memory. The search sees nothing else: no shapes, no collectives.
//
// For one PipelineShape (p stages, R ranks each, m microbatches, schedule; interleaved: p pipeline
// ranks of v stages, S = v p) every layer i has a type
// k and picks a candidate of cost[k]. What layer i - 1 hands to layer i crosses a border: a change
// of layout there takes t(i) = transition_ms[layout of i - 1][layout of i] (it belongs to the stage
// of i, also where i - 1 lies on the stage before), a change of stage x(i) = transfer_ms. Stage s
// of layers first..last takes
//
//   forward(s)  = sum forward_ms  + sum t(i)
//   backward(s) = sum backward_ms + sum t(i)
//   waits(s)    = (s > 0 ? x(first) : 0) + (s < S - 1 ? x(last + 1) : 0)
//   once(s)     = sum once_ms
//
// and the step's time is that of pipeline_time.h: for p > 1, max w the longest of all x,
//
//   1F1B:  sum_s (f + b) + sum_s waits + max_s once
//          + max((m - 1) * max_s (f + b), (m - 1) / p * sum_s (f + b) + (m - 1 - r) / (p - 1) *
//          sum_s waits)
//            r = (m - 1) / p, rounded up
//   GPipe: sum_s (f + b) + sum_s waits + max_s once
//          + (m - 1) * (max(max_s f, max w) + max(max_s b, max w))
//
//   memory(s) = reserve + receive(s) + sum state_bytes + kept(q) - kept(1) + V(first)
//   V(i)      = activation_bytes(i) + max(transient(i - 1, i, i + 1), V(i + 1));   V after the last
//               is 0, and a stage's first layer has activation_bytes + carried_bytes in the place
//               of activation_bytes
//
// q = microbatches_in_flight(s), of which kept(q) is what they keep of all layers:
// q * sum activation_bytes where microbatches are equal. receive(s): a posted border tensor. V is
// the peak over time while the newest microbatch goes forward and comes back: layer i has beside it
// what the layers before i keep, and the largest of transients() more. Under the interleaved
// schedule the stages s of a pipeline rank are together in its memory: at a moment when n_c
// microbatches are in flight in chunk c, and chunk r runs,
//
//   memory = reserve + max_s receive(s) + sum_s state_bytes + sum_c kept(n_c)
//            - kept(1) of r + V(first of r),   the largest over flight_moments()
//
// which for one chunk is the formula above. A plan is feasible when memory <= budget everywhere.
// PlanCost reports exactly these numbers.
#pragma once
#include <algorithm>
#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "galvatron/cost/cost_model.h"
#include "galvatron/cost/layer_memory.h"
#include "galvatron/cost/pipeline_time.h"

namespace galvatron::cost {

// One layer type under one candidate strategy. Plain numbers in ms and bytes.
struct LayerCost {
  double forward_ms = 0;  // per microbatch; the mean where microbatches differ in size
  double backward_ms = 0;
  double once_ms = 0;  // per step: exposed gradient reduction, optimizer, parameter gather
  std::int64_t state_bytes = 0;
  std::int64_t activation_bytes = 0;        // per microbatch in flight, of the largest microbatch
  std::int64_t small_activation_bytes = 0;  // of the others, where there are any
  // Likewise, beside: of the first layer of a stage (LayerMemory::carried).
  std::int64_t carried_bytes = 0, small_carried_bytes = 0;
  std::int64_t gathered_bytes = 0;            // ZeRO-3's whole parameters
  std::int64_t reducing_bytes = 0;            // ZeRO-2/3's whole gradient until it is reduced
  std::int64_t parameter_gradient_bytes = 0;  // as autograd returns them, until they are added up
  std::int64_t forward_workspace_bytes = 0;
  std::int64_t backward_workspace_bytes = 0;  // parameter gradients included
  int layout = 0;                             // index into CostTables::layouts
};

// By a microbatch of either size: of a layer, or of several.
struct KeptBytes {
  std::int64_t large = 0, small = 0;
  void add(const LayerCost& layer, bool is_first) {
    large += layer.activation_bytes + (is_first ? layer.carried_bytes : 0);
    small += layer.small_activation_bytes + (is_first ? layer.small_carried_bytes : 0);
  }
};

// One moment of a layer's passes, by what is there beside the activations up to the layer; bytes.
struct Transient {
  enum class When { kForward, kBackward, kBackwardEnds };
  When when = When::kForward;
  std::int64_t gathered = 0;        // its parameters
  std::int64_t gathered_ahead = 0;  // of the layer that runs next
  std::int64_t workspace = 0;
  std::int64_t parameter_gradients = 0;
  std::int64_t reducing = 0;         // its gradient
  std::int64_t reducing_behind = 0;  // of the one that ran before
  std::int64_t receiving = 0;        // a posted border tensor: of the rank, not of the layer
  std::int64_t activations = 0;      // negative: its own, which are dropped
  constexpr std::int64_t total() const {
    return gathered + gathered_ahead + workspace + parameter_gradients + reducing +
           reducing_behind + receiving + activations;
  }
};
// Those of a layer between its neighbours in the stage (nullptr: none):
//   it runs forward, the parameters behind it are gathered ahead
//   it runs backward, the gradient behind it is still being reduced, the parameters in front of it
//   are gathered ahead
//   its backward ends: parameters released, activations dropped, gradients copied
std::vector<Transient> transients(const LayerCost& layer, const LayerCost* before,
                                  const LayerCost* behind);
// The first of them; and the larger of the others, without what is gathered in front.
std::int64_t forward_bytes(const LayerCost& layer, const LayerCost* behind);
std::int64_t backward_bytes(const LayerCost& layer, const LayerCost* behind);

// What one layer hands to the next: tensors of certain shapes. One direction, per microbatch.
struct Border {
  // [from * layouts + to]: a change of layout inside the ranks of a stage; 0 on the diagonal.
  std::vector<double> transition_ms;
  double transfer_ms = 0;  // to the next stage
};

struct CostTables {
  PipelineShape shape;
  std::vector<int> type_of_layer;                            // one per layer of the model
  std::vector<std::vector<plan::LayerStrategy>> candidates;  // [type][candidate], as given
  std::vector<std::vector<LayerCost>> cost;                  // [type][candidate]
  std::vector<plan::TokenLayout> layouts;
  std::vector<Border> borders;
  std::vector<int> border_behind;  // [type]: index into borders of what its layers hand on
  std::int64_t reserve_bytes = 0;  // HardwareProfile::memory_reserve
  std::int64_t window_bytes = 0;   // of Communication, as far as the layers make use of them
  int num_small = 0;  // microbatches that are smaller than the others; spread over the step
  // [type]: what a stage that begins, or ends, with such a layer receives: the tensors of its
  // border, which are posted one compute step ahead. Empty where nothing is.
  std::vector<std::int64_t> received_in_front, received_behind;
  // Types whose layers share a weight, so that check_plan() wants their tp_degree and zero_stage
  // equal; empty without one.
  std::set<int> tied_types;

  int num_layers() const { return static_cast<int>(type_of_layer.size()); }
  const LayerCost& layer_cost(int layer, int candidate) const {
    return cost[static_cast<std::size_t>(type_of_layer[static_cast<std::size_t>(layer)])]
               [static_cast<std::size_t>(candidate)];
  }
  // Of so many microbatches in a row those that can be large at most.
  int large_among(int in_flight) const {
    const int m = shape.num_microbatches;
    return static_cast<int>(
        largest_chunk(static_cast<std::int64_t>(in_flight) * (m - num_small), m));
  }
  // What so many in a row keep, of which one of either size keeps so much.
  std::int64_t kept(KeptBytes of_one, int in_flight) const {
    const int large = large_among(in_flight);
    return large * of_one.large + (in_flight - large) * of_one.small;
  }
  // One of the two directions at a time. Of a stage by the types of its first and last layer.
  // And what the windows of Communication let be there beside.
  std::int64_t receive_bytes(int first_type, int last_type) const {
    if (received_in_front.empty()) return window_bytes;
    return window_bytes + std::max(received_in_front[static_cast<std::size_t>(first_type)],
                                   received_behind[static_cast<std::size_t>(last_type)]);
  }
  std::int64_t receive_bytes(Range layers) const {
    return receive_bytes(type_of_layer[static_cast<std::size_t>(layers.begin)],
                         type_of_layer[static_cast<std::size_t>(layers.end - 1)]);
  }
  // In front of `layer`. REQUIRES: 0 < layer < num_layers().
  const Border& border(int layer) const {
    const auto before = static_cast<std::size_t>(layer - 1);
    return borders[static_cast<std::size_t>(
        border_behind[static_cast<std::size_t>(type_of_layer[before])])];
  }
  double transition(int layer, int from_layout, int to_layout) const {
    return border(layer).transition_ms[static_cast<std::size_t>(from_layout) * layouts.size() +
                                       static_cast<std::size_t>(to_layout)];
  }
};

// `candidates[type]`: strategies that check_layer_strategy() accepts for shape.ranks_per_stage.
// Shared weights are counted as shape_units() says.
CostTables build_cost_tables(const CostInputs& inputs, const PipelineShape& shape,
                             std::vector<std::vector<plan::LayerStrategy>> candidates);

// One plan as a choice from tables of what it uses.
struct PlanTables {
  CostTables tables;
  std::vector<int> choice;        // candidate of each layer
  std::vector<ParamUnits> units;  // of each layer
};
// kInPlan: shared weights are counted where the plan holds them, so that a layer that finds one in
// front is another candidate than one that holds it. kInSearch: as in build_cost_tables(), which is
// never less.
enum class SharedWeights { kInPlan, kInSearch };
PlanTables build_plan_tables(const CostInputs& inputs, const plan::Plan& plan,
                             SharedWeights shared = SharedWeights::kInPlan);

// The formulas of the head comment. `choice`: candidate of each layer, of the whole model.
StageNumbers stage_numbers(const CostTables& tables, std::span<const int> choice, Range layers,
                           int stage);

// memory(s) and what it consists of at the moment of the peak.
struct MemoryPeak {
  std::int64_t state_bytes = 0;
  std::int64_t activation_bytes = 0;  // of all microbatches in flight
  std::int64_t transient_bytes = 0;
  std::int64_t reserve_bytes = 0;
  int layer = 0;  // that runs at the peak
  std::int64_t total() const {
    return state_bytes + activation_bytes + transient_bytes + reserve_bytes;
  }
};
MemoryPeak stage_memory_peak(const CostTables& tables, std::span<const int> choice, Range layers,
                             int stage);
// Of a pipeline rank with the layers of each of its stages. `moments`: flight_moments() of it.
MemoryPeak rank_memory_peak(const CostTables& tables, std::span<const int> choice,
                            std::span<const Range> stages, std::span<const FlightMoment> moments);

}  // namespace galvatron::cost
