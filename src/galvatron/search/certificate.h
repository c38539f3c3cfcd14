// What every answer of a search carries: how far from optimal it can be at most, and what it took.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "galvatron/base/progress.h"
#include "galvatron/base/units.h"

namespace galvatron::search {

struct Certificate {
  // Step time per sample: comparable between global batches. ms. 0: no plan was found.
  double value = 0;
  double lower_bound = 0;  // no plan of the space is faster
  // 0: solved exactly.
  double gap() const { return value > 0 ? std::max(0.0, value / lower_bound - 1) : 0; }

  // One candidate is one choice of what the solver is given: batch, microbatches, pipeline degree
  // and whatever else the outer loops fix.
  std::int64_t candidates = 0;
  std::int64_t infeasible = 0;  // even the leanest plan is too large
  std::int64_t pruned = 0;      // their bound is above the answer
  std::int64_t solved = 0;
  std::int64_t nodes = 0;  // of all branch and bound trees

  // Interleaved pipelines (search/interleaved_candidate.h), enumerated: shapes, those that no bound
  // ruled out, and those of them that have too many choices to look at all.
  std::int64_t interleaved = 0;
  std::int64_t interleaved_opened = 0;
  std::int64_t interleaved_given_up = 0;

  // Of the plan that is shown: its runs of layers, those of the plan that takes `value`, and by how
  // much of its step it is slower.
  int runs = 0, runs_before = 0;
  double simplicity_cost = 0;

  // Plans that were simulated (options.simulate_within), 0: the formula decided. Of the plan that
  // is shown, and of the formula's best: the simulated step per sample, ms.
  std::int64_t simulated = 0;
  double simulated_value = 0, simulated_of_formula = 0;

  // What ended it before its time: "--time-limit after 5 s"; empty: nothing.
  std::string ended_by;

  struct Phase {
    std::string name;
    Milliseconds time;
  };
  std::vector<Phase> phases;

  // Runs `work` and records how long it took.
  template <typename Work>
  void timed(const std::string& name, Work work) {
    const double start = now_seconds();
    work();
    phases.push_back({name, {1000 * (now_seconds() - start)}});
  }
};

// "lower bound ..., gap ...; n candidates, ...": a few lines, each ends in '\n'.
std::string to_text(const Certificate& certificate);

}  // namespace galvatron::search
