// The best plan for a job under our own cost model.
#pragma once
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/units.h"
#include "galvatron/cost/cost_model.h"
#include "galvatron/cost/plan_cost.h"
#include "galvatron/plan/plan.h"
#include "galvatron/search/certificate.h"
#include "galvatron/search/pace.h"
#include "galvatron/search/search_space.h"

namespace galvatron::search {

// More than any plan can use.
constexpr Bytes kAnyMemory = gibibytes(1 << 20);

struct SearchOptions {
  // Ranks to plan for; 0: those that the hardware profile was measured on.
  int world_size = 0;
  // Memory that each device may use, the reserve included.
  Bytes memory = gibibytes(16);
  // What a rank has in use before any model state; unset: the hardware profile's measurement.
  std::optional<Bytes> memory_reserve;
  // Samples per step to choose from; empty: the job's.
  std::vector<std::int64_t> global_batches;
  SearchSpace space;
  // Plans of other shapes to return beside the best, and why they lose.
  int num_runners_up = 3;
  // By how much of its step a plan may be slower than the best one, if it has fewer runs of layers
  // that are treated alike. 0: the best plan as it is.
  double simplicity = 1e-3;
  // The best plan of each shape that takes at most so much longer by the formula is simulated, and
  // the one whose simulated step is shortest is chosen; interleaved shapes, of which the formula
  // says too much, are looked at further. 0: the formula decides.
  double simulate_within = 0.05;
  // By how much of its step the best plan may be missed, so that the search ends sooner: the
  // certificate's gap says by how much at most it was.
  double tolerance = 0;
  // Comparisons of labels, a few nanoseconds each; then what is still open is looked at with less
  // care, and the gap says what that may cost. The same on every machine.
  std::int64_t most_work = 1'000'000'000;
  // Seconds, at least 0; then it ends with the best plan so far and its gap. Unset: none.
  std::optional<double> time_limit;
  // Told now and then how far it is; by saying false it ends the search as the time limit does.
  WatchProgress progress;
  // When nothing fits, the closest miss is looked for among plans that need less than this; 0: it
  // is not wanted. Where a need is known, saying so saves looking at plans that need more.
  Bytes closest_miss_below{std::numeric_limits<std::int64_t>::max()};
  // Only plans that take less time per sample are wanted, in ms: one that takes so much is known.
  double faster_than = std::numeric_limits<double>::infinity();
};

struct FoundPlan {
  plan::Plan plan;
  cost::PlanCost cost;
  std::vector<std::string> layer_names;  // of the model
  // Runs of layers that a faster plan of the shape has, by as much as options.simplicity allows at
  // most; 0: this one was not simplified.
  int runs_before = 0;
  // Consecutive layers of one kind with one strategy, of all stages.
  int num_runs() const;
  double ms_per_sample() const {
    return cost.step_time.value / static_cast<double>(plan.global_batch);
  }
  double simulated_ms_per_sample() const {
    return cost.simulated_time.value / static_cast<double>(plan.global_batch);
  }
};

// When nothing fits: the plan that needs the least memory.
struct ClosestMiss {
  Bytes needed;  // of the fullest device, reserve included
  int pp_degree = 1;
  int num_microbatches = 1;
  std::int64_t global_batch = 1;
};

struct SearchResult {
  std::optional<FoundPlan> best;        // nullopt: nothing fits, or nothing was found in time
  std::optional<FoundPlan> by_formula;  // what the formula chose, where the simulation chose best
  std::vector<FoundPlan> runners_up;    // ascending step time per sample
  std::optional<ClosestMiss> closest_miss;  // nothing fits, and one was found
  Certificate certificate;

  // The plan of the certificate's value, but for what simplicity cost. REQUIRES: there is one.
  const FoundPlan& best_by_formula() const { return by_formula ? *by_formula : *best; }
};

// `inputs`: hardware and model profile, job; the job's global_batch is one of global_batches.
// ConfigError when the options leave no plan to consider. Every plan returned passes check_plan().
SearchResult search_best_plan(const cost::CostInputs& inputs, const SearchOptions& options);

// One question at several budgets: what does not depend on the memory (strategies, cost tables) is
// made once. The answers are those of search_best_plan(). One thread.
class BudgetSearch {
 public:
  // `inputs` outlives this. The memory in `options` does not count.
  BudgetSearch(const cost::CostInputs& inputs, const SearchOptions& options);
  ~BudgetSearch();

  // nullopt in `best` also where no plan is faster than `faster_than` ms per sample.
  SearchResult best_plan(Bytes memory,
                         double faster_than = std::numeric_limits<double>::infinity());
  // What is known of the need from now on (SearchOptions).
  void look_for_closest_miss_below(Bytes need);

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace galvatron::search
