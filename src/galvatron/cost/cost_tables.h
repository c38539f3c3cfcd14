// The numbers that the search optimises, and the exact rule by which they make a plan's time and
// memory. The search sees nothing else: no shapes, no collectives.
//
// For one PipelineShape (p stages, R ranks each, m microbatches, schedule) every layer i has a type
// k and picks a candidate a of cost[k]. Of stage s, layers first..last:
//
//   forward(s)  = sum forward_ms  + sum over neighbours transition_ms[layout][next layout] + (s > 0
//   ? border_ms : 0) backward(s) = sum backward_ms + sum over neighbours transition_ms[layout][next
//   layout] + (s < p - 1 ? border_ms : 0) once(s)     = sum once_ms
//
//   1F1B:  time = sum_s (f + b) + (m - 1) * max_s (f + b)            + max_s once
//   GPipe: time = sum_s (f + b) + (m - 1) * (max_s f + max_s b)      + max_s once
//
//   memory(s) = reserve + sum state + (q - 1) * sum activation
//               + max_i ( activation_first + ... + activation_i + transient(i, i + 1) ),   q =
//               microbatches in flight
//
// The last line is the peak over time: while layer i of the newest microbatch runs forward or
// backward, the layers before it hold their activations and transient() is what i needs beside
// them. From the right it is a recurrence that suits a DP: V_i = activation_i + max(transient(i, i
// + 1), V_{i+1}), V after the last layer = 0. A plan is feasible when memory(s) <= budget for all
// s. PlanCost reports exactly these numbers.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "galvatron/cost/cost_model.h"
#include "galvatron/cost/pipeline_time.h"

namespace galvatron::cost {

// One layer type under one candidate strategy. Plain numbers in ms and bytes.
struct LayerCost {
  double forward_ms = 0;  // per microbatch; the mean where microbatches differ in size
  double backward_ms = 0;
  double once_ms = 0;  // per step: exposed gradient reduction, optimizer, parameter gather
  std::int64_t state_bytes = 0;
  std::int64_t activation_bytes = 0;  // per microbatch in flight, of the largest microbatch
  std::int64_t gathered_bytes = 0;    // ZeRO-3's whole parameters
  std::int64_t gradient_bytes = 0;    // ZeRO-2/3's whole gradient until it is reduced
  std::int64_t forward_workspace_bytes = 0;
  std::int64_t backward_workspace_bytes = 0;
  int layout = 0;  // index into CostTables::layouts
};

// What layer `a` needs beside activations while it runs, followed in its stage by `next` (nullptr:
// the last).
//   forward:  its parameters, those gathered ahead for the next layer, temporaries
//   backward: its parameters, as much again gathered ahead for the layer before it, its gradient,
//   the next layer's
//             gradient still being reduced, temporaries
inline std::int64_t transient_bytes(const LayerCost& a, const LayerCost* next) {
  const std::int64_t next_gathered = next ? next->gathered_bytes : 0;
  const std::int64_t next_gradient = next ? next->gradient_bytes : 0;
  return std::max(
      a.gathered_bytes + next_gathered + a.forward_workspace_bytes,
      2 * a.gathered_bytes + a.gradient_bytes + next_gradient + a.backward_workspace_bytes);
}

struct CostTables {
  PipelineShape shape;
  std::vector<int> type_of_layer;                            // one per layer of the model
  std::vector<std::vector<plan::LayerStrategy>> candidates;  // [type][candidate], as given
  std::vector<std::vector<LayerCost>> cost;                  // [type][candidate]
  std::vector<plan::TokenLayout> layouts;
  // [from * layouts.size() + to], one direction, per microbatch; 0 on the diagonal.
  std::vector<double> transition_ms;
  double border_ms = 0;            // between two stages, one direction, per microbatch
  std::int64_t reserve_bytes = 0;  // HardwareProfile::memory_reserve
  // The first and the last layer share a weight: check_plan() wants their tp_degree and zero_stage
  // equal.
  bool tied_ends = false;

  int num_layers() const { return static_cast<int>(type_of_layer.size()); }
  const LayerCost& layer_cost(int layer, int candidate) const {
    return cost[static_cast<std::size_t>(type_of_layer[static_cast<std::size_t>(layer)])]
               [static_cast<std::size_t>(candidate)];
  }
  double transition(int from_layout, int to_layout) const {
    return transition_ms[static_cast<std::size_t>(from_layout) * layouts.size() +
                         static_cast<std::size_t>(to_layout)];
  }
};

// `candidates[type]`: strategies that check_layer_strategy() accepts for shape.ranks_per_stage. The
// head's tied weight costs nothing when pp_degree is 1 (the embedding holds it).
CostTables build_cost_tables(const CostInputs& inputs, const PipelineShape& shape,
                             std::vector<std::vector<plan::LayerStrategy>> candidates);

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

}  // namespace galvatron::cost
