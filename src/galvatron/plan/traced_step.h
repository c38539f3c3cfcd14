// The parts of a step as a run's trace (train/timeline.h) has them.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "galvatron/base/json.h"
#include "galvatron/base/units.h"
#include "galvatron/plan/plan.h"
#include "galvatron/plan/step_kinds.h"

namespace galvatron::plan {

struct TracedStep {
  StepKinds ms;  // mean over ranks and steps; they add up to `step`
  Milliseconds step;
  int num_steps = 0;
  // The trace says what its collectives are for. Else what layers and units wait for counts as
  // forward and backward.
  bool tells_collectives = false;
};

// Of the ranks of pipeline rank `pp_rank`, over all steps that are traced. An event's time is its
// own, without that of events inside it; "args": {"part"} says its StepKind, else its category
// (forward, backward, optimizer). What a rank waits for a neighbour counts as bubble until the
// neighbour sends, by the clocks of both, and as transfer from then on. nullopt: there is no such
// event.
std::optional<TracedStep> traced_step(const OrderedJson& trace, const Plan& plan, int pp_rank);

// "args": {"part"} of what a rank waits for from its neighbour: transfer and bubble in one.
inline constexpr const char* kNeighbour = "neighbour";
// "cat" of events that are the whole step of a rank, and of waits inside its other events.
inline constexpr const char* kWholeStep = "step";
inline constexpr const char* kWaitInside = "wait";

}  // namespace galvatron::plan
