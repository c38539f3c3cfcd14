// A strategy for every layer of one pipeline stage: exact, under a limit in whole bytes, transition
// costs included. Unit-free: it sees tables of numbers and knows nothing of devices.
//
// The stage is built from its last layer to its first as labels, one per partial choice that no
// other one dominates. A label is dropped when it cannot become a choice below the caps: what the
// layers in front must still cost is bounded by a relaxation in which memory has a price.
//
// Memory of a stage (cost/cost_tables.h): sum fixed + carried(first) + V(first),
//   V(i) = kept(i) + max(forward(i, i + 1), gathered(i - 1) + backward(i, i + 1), V(i + 1)),
//   V after the last = 0, gathered before the first = 0.
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "galvatron/search/solvers/layout_change.h"

namespace galvatron::search {

// One strategy of a layer type. `time` and `time2` are two times whose maxima over the stages count
// apart (GPipe's forward and backward); time2 is 0 where one is enough. `once` is paid once.
struct LayerOption {
  double time = 0, time2 = 0, once = 0;
  std::int64_t fixed = 0;     // bytes for the whole stage
  std::int64_t kept = 0;      // bytes from this layer on, while the newest microbatch is deeper in
  std::int64_t gathered = 0;  // bytes more while the layer behind runs backward
  std::int64_t carried = 0;   // bytes more where it is the stage's first
  int layout = 0;
  int id = 0;  // the caller's name of it
  std::int64_t weight() const { return fixed + kept; }
};

// Bytes beside what is kept while a layer runs forward, and backward: these without what is
// gathered in front of it.
struct LayerTransient {
  std::int64_t forward = 0, backward = 0;
  std::int64_t alone() const { return std::max(forward, backward); }
};

struct StageProblem {
  std::vector<std::vector<LayerOption>> options;  // [type]
  std::vector<int> types;                         // of the stage's layers, first to last
  const LayoutChanges* changes = nullptr;         // between its layers, and in front of the first
  std::int64_t capacity = 0;
  // false: nothing is in front of the stage.
  bool first_layout_counts = true;
  // false: nothing follows the stage, so all are alike (0).
  bool last_layout_counts = true;
  // While layer `a` (option id of type_a) runs in front of `b`. b < 0: `a` is the stage's last.
  std::function<LayerTransient(int type_a, int a, int type_b, int b)> transient;
};

// A choice is of use when for every cap   time + time2 + once_share * once <= limit.
struct StageCap {
  double once_share = 0;
  double limit = std::numeric_limits<double>::infinity();
};

struct StageChoice {
  double time = 0, time2 = 0, once = 0;
  std::int64_t bytes = 0;
  int first_layout = 0, last_layout = 0;
  std::vector<int> ids;  // option of every layer, first to last
};

struct StageFront {
  // Not dominated in (time, time2, once) among those of equal last layouts, whatever the layout in
  // front of the stage.
  std::vector<StageChoice> choices;
  bool complete = true;  // false: a limit was met
  std::int64_t labels = 0, work = 0;
};

struct StageLimits {
  // Comparisons of labels, about a nanosecond each; more, and the front is not complete.
  std::int64_t max_work = std::numeric_limits<std::int64_t>::max();
  // A label may be dropped for a leaner one that is slower: the front may lack a choice, but it has
  // a leaner one whose time + time2 is larger by at most time_tolerance and its once by at most
  // once_tolerance.
  double time_tolerance = 0, once_tolerance = 0;
  // Labels kept per layer, the most promising by the last cap; for good choices quickly.
  std::size_t beam = std::numeric_limits<std::size_t>::max();
  // Asked now and then; true ends it as if the work were done.
  const std::function<bool()>* interrupted = nullptr;
};

// A lower bound of  time + time2 + once_share * once  over all choices that fit; infinity when none
// does.
double bound_stage(const StageProblem& problem, double once_share);

StageFront solve_stage(const StageProblem& problem, const std::vector<StageCap>& caps,
                       const StageLimits& limits = {});

// Bytes of the leanest choice, if they are at most problem.capacity; else capacity + 1. REQUIRES:
// every option takes no time and has layout 0.
std::int64_t least_stage_bytes(const StageProblem& problem);

}  // namespace galvatron::search
