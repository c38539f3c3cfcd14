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

// One entry per stage, in their order. once of a rank is the sum of its stages'.
// By plan::ClosedForm of the schedule:
//   kSlowestStage (1F1B):   sum (f + b) + (m - 1) max (f + b)     + max once
//   kSlowestPhases (GPipe): sum (f + b) + (m - 1) (max f + max b) + max once
//   kSlowestOfEachChunk (interleaved), with v chunks of p stages each, one on each pipeline rank,
//   f and b without the waits w, since a rank runs another chunk meanwhile:
//     m sum_chunks (max f + max b) + max_chunks (sum (f + b) - max (f + b))
//                                                                 + sum w + max once   m >= p
//     sum (f + b) + (m - 1) max (f + b)                           + sum w + max once   m < p
//     (max w of one direction in the place of max f + max b where that is more: a slow link)
//   kNone: the simulated steps                                    + max once
// Against the simulation of the same steps (timeline.h; microbatches of one size, received borders
// charged to the stage that waits): equal for equal stages, and for GPipe without transfers always;
// never below for GPipe, nor for 1F1B when backward / forward is the same on all stages. Where that
// ratio differs wildly between stages 1F1B can take longer: by 3 % at most in 60 000 random cases
// with ratios of 1 to 20, by 12 % with forwards longer than backwards. Interleaved: equal for equal
// stages, which take max(m, p) v + min(m, p) - 1 times one of them and each wait once, where m < p
// or p divides m (otherwise up to 1.5 % above with waits of a twentieth of a forward, 18 % with
// waits as long as one); from 0.2 % below to 7 % above
// for stages within 10 % of each other, up to 23 % above where only the first and the last stage
// are lighter or heavier (chunks do not wait for each other's slowest stage as long as the formula
// says), and up to a third below on wildly different ones.
double pipeline_time_ms(const PipelineShape& shape, std::span<const StageNumbers> stages);
// How many times in a step a stage waits for its borders: for those of every microbatch, or once.
int border_waits(const PipelineShape& shape);

// What the stages of a chunk add up to, and the slowest of each, without waits; the waits' sum and
// the longest: all that the interleaved formula sees of them.
struct ChunkNumbers {
  double sum_ms = 0, forward_ms = 0, backward_ms = 0, both_ms = 0;
  double waits_ms = 0, longest_wait_ms = 0;
  int count = 1;  // chunks alike
  void add(const StageNumbers& stage, int times = 1);
};
// That formula without once.
double interleaved_steps_ms(const PipelineShape& shape, std::span<const ChunkNumbers> chunks);

}  // namespace galvatron::cost
