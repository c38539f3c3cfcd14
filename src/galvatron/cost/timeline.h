// Exact simulation of schedules: when each step of each stage starts and ends, with transfers that
// take time. The list of steps is the executor's own (plan/schedule.h). Drawn by the report and
// exported for Perfetto.
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
  Milliseconds
      receive;  // border from the stage before (forward) or to it (backward); stage 0: unused
  Milliseconds gradient_sync;  // after the last step
  Milliseconds
      after_barrier;  // optimizer and parameter gather, once every stage has reduced its gradients
};

struct TimelineEvent {
  int stage = 0;
  std::string name;  // "F3", "B0", "reduce gradients", "optimizer", "send F3"
  plan::Action action = plan::Action::kForward;
  int microbatch = -1;  // -1: once per step
  Milliseconds start;
  Milliseconds end;
};

struct Timeline {
  std::vector<TimelineEvent>
      events;                      // by stage, then start; transfers are events of their receiver
  std::vector<Milliseconds> busy;  // per stage: sum of compute steps
  Milliseconds total;
  // Share of stage-time in which a stage has nothing to do: 1 - sum busy / (stages * total of the
  // pipeline phase).
  double bubble_fraction = 0;
};

// Sends leave when their step ends and take `receive` of the receiving side; the link carries one
// message at a time in each direction. InternalError for lists that can never finish (a deadlock),
// naming the steps that wait.
Timeline simulate(plan::ScheduleKind schedule, int num_microbatches,
                  const std::vector<StageTimes>& stages);
// The same for any lists (compute steps only).
Timeline simulate(const std::vector<std::vector<plan::Step>>& steps,
                  const std::vector<StageTimes>& stages);

// Chrome trace (chrome://tracing, Perfetto): one process, one thread per stage.
OrderedJson to_chrome_trace(const Timeline& timeline, const std::string& title);

}  // namespace galvatron::cost
