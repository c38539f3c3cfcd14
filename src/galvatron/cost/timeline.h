// Exact simulation of schedules: when each step of each pipeline rank starts and ends, with
// transfers that take time. The lists of steps are the executor's own, of whole stages
// (plan/schedule.h) or lowered to layers with all communication (plan/schedule_passes.h). Drawn by
// the report and exported for Perfetto.
#pragma once
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/base/units.h"
#include "galvatron/cost/layer_time.h"
#include "galvatron/plan/schedule_passes.h"

namespace galvatron::cost {

// One way through a layer: its own collectives, then compute.
struct PassTime {
  ByLinks inside;
  Milliseconds compute;
  Milliseconds recompute = {};  // of `compute`: what a backward computes again
  Milliseconds total() const { return inside.total() + compute; }
};

// Vectors have one entry per microbatch, or a single one that holds for all.
struct LayerPasses {
  std::vector<PassTime> forward;
  std::vector<PassTime> backward;  // of both parts, where weight gradients are steps
};

// Times of one stage. Vectors as above.
struct StageTimes {
  std::vector<Milliseconds> forward;
  std::vector<Milliseconds> backward;  // of both parts, where weight gradients are steps
  Milliseconds transfer;          // to the next stage and back, each direction; unused on the last
  Milliseconds gradient_sync;     // after the rank's last step, where the lists name no reductions
  Milliseconds update;            // after that
  Milliseconds parameter_gather;  // after that
  // For lowered lists, instead of `forward` and `backward`: of each layer. Empty: layers are alike
  // and all compute.
  std::vector<LayerPasses> layers;
  // Of `backward`: what is computed again. Empty: nothing.
  std::vector<Milliseconds> recompute = {};
};

// Share of a backward that makes the gradient of the input; the rest is that of the weights. A
// matrix product's backward is two products of its own size.
constexpr double kInputGradientShare = 0.5;

// What lowered lists of one pipeline rank need beside. Collectives of its parameter units run on a
// lane beside compute, one at a time in the order of the list; while both run, each is slower as
// its Overlap says. Beside a layer's own collectives the lane runs where it
// uses other links than they do, and waits for them on the same.
struct RankTraffic {
  plan::RankParts parts;
  std::vector<UnitTime> units;  // of `parts`; empty: none takes time
};

enum class EventKind {
  kForward,
  kBackward,
  kWeightGradient,
  kTransfer,
  kGather,
  kReduce,
  kTie,
  kGradientSync,
  kUpdate,
  kParameterGather
};

struct TimelineEvent {
  int stage = 0;  // of a transfer: the receiver
  int chunk = 0;  // of its pipeline rank
  EventKind kind = EventKind::kForward;
  int microbatch = -1;  // -1: once per step
  Milliseconds start;
  Milliseconds end;
  int unit = -1;                // of the pipeline rank, that is gathered, reduced or tied
  Milliseconds recompute = {};  // of a backward's time: what is computed again
};
// "F3", "B0.1" (of chunk 1), "transfer 3", "gather 2" (unit 2), "update"
std::string to_text(const TimelineEvent& event);

struct Timeline {
  std::vector<TimelineEvent> events;  // ascending start
  std::vector<Milliseconds> busy;     // per pipeline rank: its forwards and backwards
  Milliseconds pipeline;              // end of the last compute step
  Milliseconds total;
  // Share of the ranks' time up to `pipeline` in which a rank runs no step.
  double bubble_fraction = 0;
};

// A step starts when its pipeline rank is free and its input is there. Sends leave when their step
// ends, or where the list names them; between two neighbouring ranks one activation and one
// gradient at a time are under way in each direction. After its last step a rank reduces the
// gradients of its stages and updates, without waiting for others. InternalError for lists that can
// never finish, naming a step that waits.
Timeline simulate(plan::ScheduleKind schedule, int num_microbatches,
                  const std::vector<StageTimes>& stages, int stages_per_rank = 1);
// The same for any lists, one per pipeline rank; `traffic` of each for lowered ones. There a layer
// waits for the parameters that it uses, a kFinishReduce for its reduction, a tie for all ranks
// that hold a copy, and the update for all that is under way. Layers of one stage that run without
// a gap are one event.
Timeline simulate(const std::vector<std::vector<plan::Step>>& steps,
                  const std::vector<StageTimes>& stages,
                  const std::vector<RankTraffic>& traffic = {});

// Chrome trace (chrome://tracing, Perfetto): one process, two threads per pipeline rank: steps and
// what it receives; a third where collectives of parameter units take time.
OrderedJson to_chrome_trace(const Timeline& timeline, const std::string& title);

}  // namespace galvatron::cost
