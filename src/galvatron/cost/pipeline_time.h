// Closed formula of a pipeline's step time from its stages' times; the simulator (timeline.h) is
// its judge.
#pragma once
#include <span>

#include "galvatron/cost/cost_model.h"

namespace galvatron::cost {

// Plain ms. forward and backward are per microbatch and hold the wait for received borders.
struct StageNumbers {
  double forward_ms = 0;
  double backward_ms = 0;
  double once_ms =
      0;  // per step: gradient reduction that is not hidden, optimizer, parameter gather
};

//   1F1B:  sum (f + b) + (m - 1) max (f + b)     + max once
//   GPipe: sum (f + b) + (m - 1) (max f + max b) + max once
// Never below the simulated time when all microbatches have one size; equal to it for equal stages,
// and for GPipe always (transfers blocking, once-costs on stage 0).
double pipeline_time_ms(const PipelineShape& shape, std::span<const StageNumbers> stages);

}  // namespace galvatron::cost
