#include "galvatron/cost/pipeline_time.h"

#include <algorithm>
#include <vector>

#include "galvatron/cost/timeline.h"

namespace galvatron::cost {

namespace {

double once_ms(const PipelineShape& shape, std::span<const StageNumbers> stages) {
  const auto p = static_cast<std::size_t>(shape.pp_degree);
  double slowest = 0;
  for (std::size_t rank = 0; rank < std::min(p, stages.size()); ++rank) {
    double once = 0;
    for (std::size_t stage = rank; stage < stages.size(); stage += p) once += stages[stage].once_ms;
    slowest = std::max(slowest, once);
  }
  return slowest;
}

// Borders are in the stages' times already.
double simulated_steps_ms(const PipelineShape& shape, std::span<const StageNumbers> stages) {
  std::vector<StageTimes> times;
  for (const StageNumbers& stage : stages) {
    StageTimes& one = times.emplace_back();
    one.forward = {{stage.forward_ms}};
    one.backward = {{stage.backward_ms}};
  }
  return simulate(shape.schedule, shape.num_microbatches, times, shape.stages_per_rank)
      .pipeline.value;
}

}  // namespace

void ChunkNumbers::add(const StageNumbers& stage, int times) {
  const double forward = stage.forward_ms - stage.forward_wait_ms;
  const double backward = stage.backward_ms - stage.backward_wait_ms;
  sum_ms += times * (forward + backward);
  forward_ms = std::max(forward_ms, forward);
  backward_ms = std::max(backward_ms, backward);
  both_ms = std::max(both_ms, forward + backward);
  waits_ms += times * (stage.forward_wait_ms + stage.backward_wait_ms);
  longest_wait_ms = std::max({longest_wait_ms, stage.forward_wait_ms, stage.backward_wait_ms});
}

int border_waits(const PipelineShape& shape) {
  const bool by_chunk =
      plan::traits(shape.schedule).closed_form == plan::ClosedForm::kSlowestOfEachChunk;
  return by_chunk ? 1 : shape.num_microbatches;
}

double interleaved_steps_ms(const PipelineShape& shape, std::span<const ChunkNumbers> chunks) {
  double sum = 0, slowest = 0, period = 0, ramp = 0, waits = 0;
  for (const ChunkNumbers& chunk : chunks) {
    sum += chunk.count * chunk.sum_ms;
    slowest = std::max({slowest, chunk.both_ms, chunk.longest_wait_ms});
    period += chunk.count * std::max(chunk.forward_ms + chunk.backward_ms, chunk.longest_wait_ms);
    ramp = std::max(ramp, chunk.sum_ms - chunk.both_ms);
    waits += chunk.count * chunk.waits_ms;
  }
  const int m = shape.num_microbatches;
  return waits + (m < shape.pp_degree ? sum + (m - 1) * slowest : m * period + ramp);
}

double pipeline_time_ms(const PipelineShape& shape, std::span<const StageNumbers> stages) {
  const double once = once_ms(shape, stages);
  const plan::ClosedForm form = plan::traits(shape.schedule).closed_form;
  if (form == plan::ClosedForm::kNone) return simulated_steps_ms(shape, stages) + once;
  const bool by_chunk = form == plan::ClosedForm::kSlowestOfEachChunk;
  const auto p = static_cast<std::size_t>(shape.pp_degree);
  std::vector<ChunkNumbers> chunks;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    if (i == 0 || (by_chunk && i % p == 0)) chunks.emplace_back();
    StageNumbers stage = stages[i];
    if (!by_chunk) stage.forward_wait_ms = stage.backward_wait_ms = 0;
    chunks.back().add(stage);
  }
  if (by_chunk) return interleaved_steps_ms(shape, chunks) + once;
  const ChunkNumbers all = chunks.empty() ? ChunkNumbers{} : chunks.front();
  const bool by_phase = form == plan::ClosedForm::kSlowestPhases;
  const double steady = by_phase ? all.forward_ms + all.backward_ms : all.both_ms;
  return all.sum_ms + (shape.num_microbatches - 1) * steady + once;
}

}  // namespace galvatron::cost
