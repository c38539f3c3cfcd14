// Exact simulation of schedules: when each step of each pipeline rank starts and ends, with
// transfers that take time. The list of steps is the executor's own (plan/schedule.h). Drawn by the
// report and exported for Perfetto.
#pragma once
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/base/units.h"
#include "galvatron/plan/schedule.h"

namespace galvatron::cost {

// Times of one stage. Vectors have one entry per microbatch, or a single one that holds for all.
struct StageTimes {
  std::vector<Milliseconds> forward;
  std::vector<Milliseconds> backward;
  Milliseconds transfer;       // to the next stage and back, each direction; unused on the last
  Milliseconds gradient_sync;  // after the rank's last step
  Milliseconds update;         // after that: optimizer and parameter gather
};

enum class EventKind { kForward, kBackward, kTransfer, kGradientSync, kUpdate };

struct TimelineEvent {
  int stage = 0;  // of a transfer: the receiver
  int chunk = 0;  // of its pipeline rank
  EventKind kind = EventKind::kForward;
  int microbatch = -1;  // -1: once per step
  Milliseconds start;
  Milliseconds end;
};
std::string to_text(
    const TimelineEvent& event);  // "F3", "B0.1" (of chunk 1), "transfer 3", "update"

struct Timeline {
  std::vector<TimelineEvent> events;  // ascending start
  std::vector<Milliseconds> busy;     // per pipeline rank: its compute steps
  Milliseconds pipeline;              // end of the last compute step
  Milliseconds total;
  // Share of the ranks' time up to `pipeline` in which a rank runs no step.
  double bubble_fraction = 0;
};

// A step starts when its pipeline rank is free and its input is there. Sends leave when their step
// ends; between two neighbouring ranks one activation and one gradient at a time are under way in
// each direction. After its last step a rank reduces the gradients of its stages and updates,
// without waiting for others. InternalError for lists that can never finish,
// naming a step that waits.
Timeline simulate(plan::ScheduleKind schedule, int num_microbatches,
                  const std::vector<StageTimes>& stages, int stages_per_rank = 1);
// The same for any lists of compute steps, one per pipeline rank.
Timeline simulate(const std::vector<std::vector<plan::Step>>& steps,
                  const std::vector<StageTimes>& stages);

// Chrome trace (chrome://tracing, Perfetto): one process, two threads per pipeline rank:
// steps and what it receives.
OrderedJson to_chrome_trace(const Timeline& timeline, const std::string& title);

}  // namespace galvatron::cost
