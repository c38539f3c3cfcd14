#include "galvatron/cost/pipeline_time.h"

#include <algorithm>

namespace galvatron::cost {

double pipeline_time_ms(const PipelineShape& shape, std::span<const StageNumbers> stages) {
  double sum = 0, slowest_forward = 0, slowest_backward = 0, slowest = 0, once = 0;
  for (const StageNumbers& stage : stages) {
    sum += stage.forward_ms + stage.backward_ms;
    slowest_forward = std::max(slowest_forward, stage.forward_ms);
    slowest_backward = std::max(slowest_backward, stage.backward_ms);
    slowest = std::max(slowest, stage.forward_ms + stage.backward_ms);
    once = std::max(once, stage.once_ms);
  }
  const bool gpipe = shape.schedule == plan::ScheduleKind::kGPipe;
  const double steady = gpipe ? slowest_forward + slowest_backward : slowest;
  return sum + (shape.num_microbatches - 1) * steady + once;
}

}  // namespace galvatron::cost
