// What a pipeline rank holds during a step, moment by moment: the memory formula of cost_tables.h,
// read along the timeline. The largest of its moments is the prediction, to the byte.
#pragma once
#include <cstdint>
#include <vector>

#include "galvatron/cost/cost_tables.h"
#include "galvatron/cost/plan_cost.h"

namespace galvatron::cost {

// Beside the states and the reserve, which stay. Holds until the next moment.
struct MemoryMoment {
  Milliseconds at;
  std::int64_t activation_bytes = 0;
  std::int64_t transient_bytes = 0;
  std::int64_t total() const { return activation_bytes + transient_bytes; }
};

// What is alive at the moment that needs most.
struct MemoryPeakDetail {
  std::size_t moment = 0;      // which of the moments
  std::vector<int> in_flight;  // microbatches of each chunk, the newest included
  std::vector<int> num_large;  // of them, of those microbatches that are the larger ones
  int chunk = 0;               // that runs
  int kept_to = 0;             // the last layer that keeps activations of the newest one
  Transient transient;         // beside what is kept
  bool keeps(int layer) const { return layer <= kept_to; }  // REQUIRES: a layer of the chunk
};

struct MemoryOverTime {
  std::vector<MemoryMoment> moments;  // ascending times; the first is the step's beginning
  MemoryPeakDetail peak;
};

// Moments are those of the layers of each pass: while it runs forward, while it runs backward, and
// when its backward ends. Layers share their pass's time as the prediction has it. Where a pipeline
// rank has several stages the prediction takes every pass for either direction, and so do the
// moments. InternalError where the largest is not the predicted one. `cost`: estimate() of the
// plan.
MemoryOverTime memory_over_time(const CostInputs& inputs, const plan::Plan& plan,
                                const PlanCost& cost, int pp_rank);

}  // namespace galvatron::cost
