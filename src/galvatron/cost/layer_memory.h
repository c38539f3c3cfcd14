// Bytes that one layer takes on the fullest rank of its stage, under one strategy. The rules are
// the runtime's (docs/design/cost_model.md, "Memory").
#pragma once
#include "galvatron/base/units.h"
#include "galvatron/cost/cost_model.h"

namespace galvatron::cost {

// Resident for the whole run.
struct LayerStates {
  Bytes parameters;  // in compute precision
  Bytes master;      // where it differs from the compute precision; else 0
  Bytes gradients;
  Bytes optimizer;  // both moments
  Bytes total() const { return parameters + master + gradients + optimizer; }
  LayerStates& operator+=(const LayerStates& other);
  bool operator==(const LayerStates&) const = default;
};

struct LayerMemory {
  LayerStates states;
  Bytes activation;  // per microbatch in flight: border input + what the backward needs (recompute
                     // applied)
  Bytes gathered;    // parameters made whole while the layer runs (ZeRO-3)
  Bytes gradient_transient;  // whole gradient while the layer's backward runs and until it is
                             // reduced (ZeRO-2, 3)
  Bytes forward_workspace;   // temporaries
  Bytes backward_workspace;  // temporaries, and what a recomputation brings back
};

// Elements that one rank holds before ZeRO divides them, padded: the layer's parameters form a unit
// that TP divides (replicas: ranks_per_stage / tp_degree) and one that it does not (replicas:
// ranks_per_stage); with tp_degree 1 all are in the second. Each unit is padded to a multiple of 16
// * replicas.
struct ShardingUnit {
  std::int64_t elements = 0;  // padded; 0: the unit is empty
  int replicas = 1;
};
struct ShardingUnits {
  ShardingUnit divided;
  ShardingUnit whole;
};
// Elements on the fullest TP rank, not padded.
struct LocalElements {
  std::int64_t divided = 0;  // of parameters that TP divides; 0 at tp_degree 1
  std::int64_t whole = 0;
};
// `without_tied`: leave out tied parameters (head_shares_embedding).
LocalElements local_elements(const spec::LayerSpec& layer, int tp_degree, bool without_tied);
ShardingUnits sharding_units(const LocalElements& elements, int tp_degree, int ranks_per_stage);
// Both for a layer of the model in a pipeline.
ShardingUnits sharding_units(const CostInputs& inputs, const PipelineShape& shape, int layer,
                             const plan::LayerStrategy& strategy);

LayerStates layer_states(const ShardingUnits& units, int zero_stage, spec::Precision precision);

// REQUIRES: check_layer_strategy() has no objection. `samples`: of the largest microbatch, before
// data parallelism. `units`: the layer's, above (a parameter because many strategies share them).
LayerMemory layer_memory(const CostInputs& inputs, const PipelineShape& shape, int layer,
                         const plan::LayerStrategy& strategy, const ShardingUnits& units,
                         std::int64_t samples);

// Bytes of the tensor between two layers on one rank, for a microbatch of `samples`.
Bytes border_bytes(const CostInputs& inputs, int layer, const plan::TokenLayout& layout,
                   std::int64_t samples);

}  // namespace galvatron::cost
