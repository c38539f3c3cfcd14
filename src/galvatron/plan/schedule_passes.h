// Passes over a schedule's compute steps that add all communication, so that one list says what a
// rank does: the executor runs it, the simulator times it, check_schedule() judges it.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/partition.h"
#include "galvatron/plan/schedule.h"

namespace galvatron::plan {

// A parameter unit as the passes see it: what is stored, gathered and reduced together.
struct UnitTraffic {
  std::vector<int> layers;  // of this pipeline rank that use it
  bool gathers = false;     // ZeRO-3: whole only while a layer uses it
  bool reduces_each =
      false;  // ZeRO-2 and 3: a microbatch's gradients at once; else the step's once
  // What pipeline ranks call the copies that they hold of it; empty: there is one.
  std::string tie{};
  std::int64_t gathered_bytes = 0;  // by kGather, until kFree
  std::int64_t reduced_bytes = 0;   // that a reduction sums
  // A reduction under way keeps so much in memory that would be free else, or what follows it
  // waits: it is finished behind the next layer.
  bool reduction_is_costly = true;
  bool used_by(int layer) const;
};

// What a pipeline rank holds.
struct RankParts {
  std::vector<Range> layers;         // of each chunk
  std::vector<UnitTraffic> units;    // Step::unit is the index
  std::vector<bool> changes_layout;  // [layer of the model]: in front of it
  // The last layer of the model where it is on this rank and trains: its forward runs in its
  // backward, so kForward needs no parameters of it. -1: none.
  int loss_layer = -1;
  // Communication's: nullopt as there, in bytes.
  std::optional<std::int64_t> reduce_window = std::nullopt;
  std::int64_t gather_window = 0;
};

// An activation is received before its forward and sent after it, a gradient likewise backward.
// From one chunk to the next they go from the last pipeline rank to the first.
//   F0 sA0 rG0 B0
std::vector<Step> add_transfers(const std::vector<Step>& steps, int pp_rank, int pp_degree,
                                int stages_per_rank = 1);

// Receives are posted one compute step ahead: what the next step needs travels while one runs.
//   pG0 F0 sA0 rG0 B0
std::vector<Step> post_receives(const std::vector<Step>& steps);

// A stage's forward or backward becomes that of its layers, with changes of layout between them.
// Weight gradients stay one step.
//   F0:0 mA0:1 F0:1 ... B0:1 mG0:1 B0:0
std::vector<Step> split_layers(const std::vector<Step>& steps, const RankParts& parts);

// Gradients are added up after a layer's backward, and reduced as soon as they are whole: of a unit
// that reduces each microbatch then, of another when its last layer has done its last microbatch.
// The reductions of a layer are finished behind the next one's, and a stage's at its end, when its
// gradient is on its way, as far as they do not fit into the window: without one those that are
// costly, others at the end of the list. Ties come last, in the order of their names, which all
// pipeline ranks share.
//   B0:1 A0:1 R0:1 B0:0 A0:0 R0:0 sG0 wR:1 wR:0 T:0
std::vector<Step> add_reductions(const std::vector<Step>& steps, const RankParts& parts);

// Units are whole from kGather to kFree. A layer starts the gathers of its own, where still due,
// and of the next layer of its stage; behind a stage's last layer follow those of the layer that
// computes next. Then as many of those behind it as fit into the window. Freed after each use.
//   G:0 G:1 F0:0 X:0 G:2 F0:1 X:1 ...
std::vector<Step> add_gathers(const std::vector<Step>& steps, const RankParts& parts);

// All of them: what one rank runs.
std::vector<Step> lower(const std::vector<Step>& compute, int pp_rank, int pp_degree,
                        const RankParts& parts);

bool is_compute(Action action);  // kForward or kBackward
bool is_receive(Action action);
bool is_send(Action action);

}  // namespace galvatron::plan
