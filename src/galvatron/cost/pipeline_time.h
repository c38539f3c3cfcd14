// Step time of a pipeline from its stages' times: by the closed formula of its schedule, of which
// the simulator (timeline.h) is the judge, or by the simulator itself where there is none.
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
  // Of forward_ms and backward_ms: the wait for a received border.
  double forward_wait_ms = 0, backward_wait_ms = 0;
};

// A step, and how often in it a stage waits for its borders: once, and more where time between the
// stages is on the way of several microbatches. Not a whole number where they share it.
struct PipelineTime {
  double ms = 0;
  double border_waits = 1;
};

// One entry per stage, in their order. once of a rank is the sum of its stages'. With the waits w
// apart from f and b, since a rank runs something else where its list lets it:
// By plan::ClosedForm of the schedule:
//   kSlowestPhases (GPipe): sum (f + b + w) + (m - 1) (max(f, w) + max(b, w))      + max once
//   kSlowestStage (1F1B):   sum (f + b + w) + more                                 + max once
//     more = max((m - 1) max (f + b), (m - 1) / p sum (f + b) + (m - 1 - r) / (p - 1) sum w)
//     r = (m - 1) / p, rounded up: round_trips()
//   kSlowestOfEachChunk (interleaved), with v chunks of p stages each, one on each pipeline rank:
//     m sum_chunks (max f + max b) + max_chunks (sum (f + b) - max (f + b))
//                                                                 + sum w + max once   m >= p
//     sum (f + b) + (m - 1) max (f + b)                           + sum w + max once   m < p
//     (max w of one direction in the place of max f + max b where that is more: a slow link)
//   kNone: the simulated steps, w in f and b                              + max once
// Against the simulation of the same steps (timeline.h; microbatches of one size):
// - GPipe: equal, whatever the stages and borders.
// - 1F1B: equal for equal stages and borders as long as w <= f + b; elsewhere a few percent off
//   (docs/design/cost_model.md, section 4, says how far).
// - Interleaved: equal for equal stages, which take max(m, p) v + min(m, p) - 1 times one of them
//   and each wait once, where m < p or p divides m (otherwise up to 1.5 % above with waits of a
//   twentieth of a forward, 18 % with waits as long as one); from 0.2 % below to 7 % above for
//   stages within 10 % of each other, up to 23 % above where only the first and the last stage are
//   lighter or heavier (chunks do not wait for each other's slowest stage as long as the formula
//   says), and up to a third below on wildly different ones.
PipelineTime pipeline_time(const PipelineShape& shape, std::span<const StageNumbers> stages);
inline double pipeline_time_ms(const PipelineShape& shape, std::span<const StageNumbers> stages) {
  return pipeline_time(shape, stages).ms;
}

// How often the longest way through the steps of equal stages passes each of them, and each border,
// there and back: down and up the pipeline with the first microbatch, and once more with every p of
// the m - 1 others (r times), each time over one border less than stages. By the formulas no step
// of GPipe (whose borders are passed once) or 1F1B takes less than stages * sum (f + b) + borders *
// sum w + max once.
struct RoundTrips {
  double stages = 1, borders = 1;
};
RoundTrips round_trips(const PipelineShape& shape);

// What the stages of a chunk add up to, and the slowest of each, without waits; the waits' sum and
// the longest: all that the formulas see of them.
struct ChunkNumbers {
  double sum_ms = 0, forward_ms = 0, backward_ms = 0, both_ms = 0;
  double waits_ms = 0, longest_wait_ms = 0;
  int count = 1;  // chunks alike
  void add(const StageNumbers& stage, int times = 1);
};
// The interleaved formula without once.
double interleaved_steps_ms(const PipelineShape& shape, std::span<const ChunkNumbers> chunks);

}  // namespace galvatron::cost
