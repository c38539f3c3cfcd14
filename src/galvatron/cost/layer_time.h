// Milliseconds that one layer takes per microbatch under one strategy, with its communication: what
// is hidden behind compute slows it, what is not is added. docs/design/cost_model.md, "Time of a
// layer".
#pragma once
#include "galvatron/base/units.h"
#include "galvatron/cost/cost_model.h"
#include "galvatron/cost/layer_memory.h"

namespace galvatron::cost {

// One direction. total = compute + exposed; hidden communication shows in `exposed` only by the
// slow-down it causes.
struct PhaseTime {
  Milliseconds compute;  // alone, contention included
  Milliseconds exposed;  // communication and slow-down that the rank waits for
  Milliseconds hidden;   // communication that runs beside compute
  ByLinks inside;        // of `exposed`: the layer's own collectives; beside them runs only what
                         // uses other links
  Milliseconds total() const { return compute + exposed; }
  PhaseTime& operator+=(const PhaseTime& other);
};

struct LayerTime {
  PhaseTime forward;
  PhaseTime backward;  // of every microbatch; holds the recomputed forward and ZeRO-2/3's reduction
  // Of both directions: what is computed again; what TP has of `inside`, where the rest is
  // Ulysses'.
  Milliseconds recompute, tp;
  // Once per step:
  PhaseTime gradient_sync;        // ZeRO-0/1: added to the last microbatch's backward
  Milliseconds optimizer;         // over the rank's shard
  Milliseconds parameter_gather;  // ZeRO-1/2: after the optimizer
  Milliseconds once() const { return gradient_sync.total() + optimizer + parameter_gather; }
};

// REQUIRES: check_layer_strategy() has no objection. `samples`: of one microbatch, before data
// parallelism.
LayerTime layer_time(const CostInputs& inputs, const PipelineShape& shape, int layer,
                     const plan::LayerStrategy& strategy, const ParamUnits& units,
                     std::int64_t samples);

// Of that the computing alone, both directions: what no communication makes less.
Milliseconds compute_time(const CostInputs& inputs, const PipelineShape& shape, int layer,
                          const plan::LayerStrategy& strategy, std::int64_t samples);

// What a parameter unit of a layer communicates, apart from what may hide it: the parts that
// layer_time() puts together.
struct UnitTime {
  Traffic gather;    // ZeRO-3: before every use
  Traffic reduce;    // ZeRO-2 and 3: every microbatch; else once a step
  Traffic spread;    // once a step: the slice over its copies
  Milliseconds tie;  // once a step: over pipeline ranks
};
UnitTime unit_time(const CostInputs& inputs, const PipelineShape& shape,
                   const plan::LayerStrategy& strategy, const plan::UnitSpec& unit);

// Moving a microbatch's border tensor in front of `layer` from one layout to another inside a
// stage, one direction. 0 when they are equal.
ByLinks transition_time(const CostInputs& inputs, const PipelineShape& shape, int layer,
                        const plan::TokenLayout& from, const plan::TokenLayout& to,
                        std::int64_t samples);

// Sending a microbatch's border tensor to the next stage, one direction: every rank sends its part
// to its twin there. A change of layout comes after that, on the later stage.
Milliseconds border_transfer_time(const CostInputs& inputs, const PipelineShape& shape, int layer,
                                  std::int64_t samples);

}  // namespace galvatron::cost
