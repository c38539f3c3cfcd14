// Bytes that one layer takes on the fullest rank of its stage, under one strategy. The rules are
// the runtime's (docs/design/cost_model.md, "Memory").
#pragma once
#include <array>

#include "galvatron/base/units.h"
#include "galvatron/cost/cost_model.h"

namespace galvatron::cost {

// Resident for the whole run.
struct LayerStates {
  Bytes parameters;  // in compute precision
  Bytes master;      // where it differs from the compute precision; else 0
  Bytes gradients;
  Bytes optimizer;  // all its states
  Bytes total() const { return parameters + master + gradients + optimizer; }
  LayerStates& operator+=(const LayerStates& other);
  bool operator==(const LayerStates&) const = default;
};

struct LayerMemory {
  LayerStates states;
  Bytes activation;  // per microbatch in flight: border input + what the backward needs (recompute
                     // applied)
  Bytes gathered;    // parameters made whole while the layer runs (ZeRO-3)
  Bytes reducing;    // gradient made whole until it is reduced (ZeRO-2, 3)
  Bytes parameter_gradients;  // as autograd returns them: they live until they are added up
  Bytes forward_workspace;    // temporaries
  Bytes backward_workspace;   // temporaries, parameter gradients, what a recomputation brings back
};

// Parameters that ZeRO stores, gathers and reduces together. A layer has up to three units: what TP
// divides, what it does not (with tp_degree 1 everything), and a parameter tied to another layer's.
struct ShardingUnit {
  std::int64_t elements =
      0;             // of one rank before ZeRO; a multiple of 16 * replicas; 0: no such unit
  int replicas = 1;  // ranks that hold the same values
  int stride = 1;    // between them
};
struct ShardingUnits {
  std::array<ShardingUnit, 3> units;  // divided, whole, tied
  // The tied unit belongs to a layer in front on the same stage: its states and its once-a-step
  // reduction are counted there, its gathers and per-microbatch reductions here too.
  bool shares_tied = false;
};
ShardingUnits sharding_units(const CostInputs& inputs, const PipelineShape& shape, int layer,
                             const plan::LayerStrategy& strategy);

LayerStates layer_states(const ShardingUnits& units, int zero_stage, const spec::JobSpec& job);

// REQUIRES: check_layer_strategy() has no objection. `samples`: of the largest microbatch, before
// data parallelism. `units`: the layer's, above (a parameter because many strategies share them).
LayerMemory layer_memory(const CostInputs& inputs, const PipelineShape& shape, int layer,
                         const plan::LayerStrategy& strategy, const ShardingUnits& units,
                         std::int64_t samples);

// Bytes of what comes into a layer on one rank, for a microbatch of `samples`; none of the first.
Bytes border_bytes(const CostInputs& inputs, int layer, const plan::TokenLayout& layout,
                   std::int64_t samples);

}  // namespace galvatron::cost
