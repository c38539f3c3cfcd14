// The step of a plan as a timeline: the lists that its ranks run, with the times of its layers and
// of their parameter units.
#pragma once
#include <vector>

#include "galvatron/cost/cost_tables.h"
#include "galvatron/cost/layer_time.h"
#include "galvatron/cost/timeline.h"

namespace galvatron::cost {

// A layer in microbatches of one size.
struct SizedLayer {
  LayerTime time;
  ByLinks transition;  // in front of it, one direction
};
// Both sizes; alike where there is one.
struct LayerTimes {
  SizedLayer large, small;
};
LayerTimes layer_times(const CostInputs& inputs, const plan::Plan& plan, int layer,
                       const ParamUnits& units);

// Layers times microbatches up to which a step is drawn in full. A larger one takes lists of whole
// stages, in which what is hidden of gathers and reductions is not seen, and what is exposed
// lengthens the layer: layer_time.h, against a neighbour like the layer itself.
constexpr std::int64_t kMostLayerSteps = 4096;

// `tables`: of the plan. `layers`: of each. InternalError where check_schedule() objects to the
// lists.
Timeline plan_timeline(const CostInputs& inputs, const plan::Plan& plan, const CostTables& tables,
                       const std::vector<LayerTimes>& layers);

}  // namespace galvatron::cost
