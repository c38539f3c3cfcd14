// Exact simulation of schedules: when each step of each pipeline rank starts and ends, with
// transfers that take time. The lists of steps are the executor's own, of whole stages
// (plan/schedule.h) or lowered to layers with all communication (plan/schedule_passes.h). Drawn by
// the report and exported for Perfetto.
#pragma once
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/base/units.h"
#include "galvatron/plan/schedule_passes.h"

namespace galvatron::cost {

// Times of one stage. Vectors have one entry per microbatch, or a single one that holds for all.
struct StageTimes {
  std::vector<Milliseconds> forward;
  std::vector<Milliseconds> backward;  // of both parts, where weight gradients are steps
  Milliseconds transfer;       // to the next stage and back, each direction; unused on the last
  Milliseconds gradient_sync;  // after the rank's last step
  Milliseconds update;         // after that: optimizer and parameter gather
  // Of each layer's forward and backward in the stage's; empty: all alike. For lowered lists.
  std::vector<double> layer_share;
};

// Share of a backward that makes the gradient of the input; the rest is that of the weights. A
// matrix product's backward is two products of its own size.
constexpr double kInputGradientShare = 0.5;

// What lowered lists of one pipeline rank need beside.
struct RankTraffic {
  plan::RankParts parts;
  // Of each parameter unit, on a lane beside the computing one; empty: nothing. The cost model's
  // layer times hold what is exposed of both already (layer_time.h).
  std::vector<Milliseconds> gather, reduce;
};

enum class EventKind {
  kForward,
  kBackward,
  kWeightGradient,
  kTransfer,
  kGather,
  kReduce,
  kGradientSync,
  kUpdate
};

struct TimelineEvent {
  int stage = 0;  // of a transfer: the receiver
  int chunk = 0;  // of its pipeline rank
  EventKind kind = EventKind::kForward;
  int microbatch = -1;  // -1: once per step
  Milliseconds start;
  Milliseconds end;
  int unit = -1;  // of the pipeline rank, that is gathered or reduced
};
// "F3", "B0.1" (of chunk 1), "transfer 3", "gather 2" (unit 2), "update"
std::string to_text(const TimelineEvent& event);

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
// The same for any lists, one per pipeline rank; `traffic` of each for lowered ones. Transfers
// leave and arrive by the rule above, whether the lists name them or not. Layers of one stage that
// run without a gap are one event.
Timeline simulate(const std::vector<std::vector<plan::Step>>& steps,
                  const std::vector<StageTimes>& stages,
                  const std::vector<RankTraffic>& traffic = {});

// Chrome trace (chrome://tracing, Perfetto): one process, two threads per pipeline rank: steps and
// what it receives; a third where gathers and reductions take time.
OrderedJson to_chrome_trace(const Timeline& timeline, const std::string& title);

}  // namespace galvatron::cost
