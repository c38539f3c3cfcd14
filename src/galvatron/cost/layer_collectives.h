// The collectives that a layer's own computing waits for: of tensor and sequence parallelism, of
// Ulysses, of a vocabulary that is divided. What the runtime sends, message by message
// (tests/profiler/collectives_prediction_test.cpp holds them against each other); those of
// parameters are layer_time.h's.
#pragma once
#include <vector>

#include "galvatron/cost/cost_model.h"

namespace galvatron::cost {

struct LayerCollective {
  profiles::Collective kind = profiles::Collective::kAllGather;
  profiles::GroupShape group;
  std::int64_t bytes = 0;  // as profiles::Collective counts them
  int count = 1;           // one after the other
  // Of tensor parallelism, else of Ulysses.
  bool of_tp = true;
};

// Of one microbatch on the rank that holds most; groups of one have none.
struct LayerCollectives {
  std::vector<LayerCollective> forward;
  // With the forward that recomputation runs again, and all of the head's, which runs there.
  std::vector<LayerCollective> backward;
};

// REQUIRES: check_layer_strategy() has no objection. `samples`: of the microbatch, before data
// parallelism.
LayerCollectives layer_collectives(const CostInputs& inputs, const PipelineShape& shape, int layer,
                                   const plan::LayerStrategy& strategy, std::int64_t samples);

}  // namespace galvatron::cost
