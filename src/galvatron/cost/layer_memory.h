// Bytes that one layer takes on the fullest rank of its stage, under one strategy. The rules are
// the runtime's (docs/design/cost_model.md, "Memory").
#pragma once
#include <vector>

#include "galvatron/base/units.h"
#include "galvatron/cost/cost_model.h"
#include "galvatron/plan/param_units.h"

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
  // Per microbatch in flight: the layer's own input, what the backward needs (recompute applied),
  // and streams that it makes for all layers behind it.
  Bytes activation;
  // Per microbatch in flight: streams beside its own that come in (an encoder's, in a decoder).
  // Layers pass them on as they are, so that a stage keeps them once: where it begins with one.
  Bytes carried;
  Bytes gathered;             // parameters made whole while the layer runs (ZeRO-3)
  Bytes reducing;             // gradient made whole until it is reduced (ZeRO-2, 3)
  Bytes parameter_gradients;  // as autograd returns them: they live until they are added up
  Bytes forward_workspace;    // temporaries
  Bytes backward_workspace;   // temporaries, parameter gradients, what a recomputation brings back
};

using ParamUnits = std::vector<plan::UnitSpec>;  // of one layer
// As far as a shape tells: which layers share a pipeline rank is known where there is one. With
// more, a weight that layers share counts once for each, which is never less than a plan's own
// (plan::param_units).
ParamUnits shape_units(const CostInputs& inputs, const PipelineShape& shape, int layer,
                       const plan::LayerStrategy& strategy);

LayerStates layer_states(const ParamUnits& units, int zero_stage, const spec::JobSpec& job);

// REQUIRES: check_layer_strategy() has no objection. `samples`: of the largest microbatch, before
// data parallelism. `units`: the layer's, above or of a plan (a parameter because many strategies
// share them).
LayerMemory layer_memory(const CostInputs& inputs, const PipelineShape& shape, int layer,
                         const plan::LayerStrategy& strategy, const ParamUnits& units,
                         std::int64_t samples);

// Bytes of what comes into a layer on one rank, for a microbatch of `samples`; none of the first.
Bytes border_bytes(const CostInputs& inputs, int layer, const plan::TokenLayout& layout,
                   std::int64_t samples);
// Of it the layer's own sequence.
Bytes own_input_bytes(const CostInputs& inputs, int layer, const plan::TokenLayout& layout,
                      std::int64_t samples);

}  // namespace galvatron::cost
