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

// Under a schedule of one stage per rank.
PipelineTime plain_time(const PipelineShape& shape, const ChunkNumbers& all, double once) {
  const bool by_phase =
      plan::traits(shape.schedule).closed_form == plan::ClosedForm::kSlowestPhases;
  const double later = shape.num_microbatches - 1;
  const double pace = later * (by_phase ? all.forward_ms + all.backward_ms : all.both_ms);
  double more = pace;
  if (by_phase) {
    more = later * (std::max(all.forward_ms, all.longest_wait_ms) +
                    std::max(all.backward_ms, all.longest_wait_ms));
  } else {
    const RoundTrips trips = round_trips(shape);
    more = std::max(pace, (trips.stages - 1) * all.sum_ms + (trips.borders - 1) * all.waits_ms);
  }
  const double waits = all.waits_ms > 0 ? 1 + (more - pace) / all.waits_ms : 1;
  return {all.sum_ms + all.waits_ms + more + once, waits};
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

RoundTrips round_trips(const PipelineShape& shape) {
  const int p = shape.pp_degree, later = shape.num_microbatches - 1;
  RoundTrips out{1 + static_cast<double>(later) / p, 1};
  const bool by_phase =
      plan::traits(shape.schedule).closed_form == plan::ClosedForm::kSlowestPhases;
  if (p == 1 || by_phase) return out;
  const int turns = (later + p - 1) / p;
  out.borders += static_cast<double>(later - turns) / (p - 1);
  return out;
}

PipelineTime pipeline_time(const PipelineShape& shape, std::span<const StageNumbers> stages) {
  const double once = once_ms(shape, stages);
  const plan::ClosedForm form = plan::traits(shape.schedule).closed_form;
  if (form == plan::ClosedForm::kNone) {
    return {simulated_steps_ms(shape, stages) + once, static_cast<double>(shape.num_microbatches)};
  }
  const bool by_chunk = form == plan::ClosedForm::kSlowestOfEachChunk;
  const auto p = static_cast<std::size_t>(shape.pp_degree);
  std::vector<ChunkNumbers> chunks(1);
  for (std::size_t i = 0; i < stages.size(); ++i) {
    if (by_chunk && i > 0 && i % p == 0) chunks.emplace_back();
    chunks.back().add(stages[i]);
  }
  if (by_chunk) return {interleaved_steps_ms(shape, chunks) + once, 1};
  return plain_time(shape, chunks.front(), once);
}

}  // namespace galvatron::cost
