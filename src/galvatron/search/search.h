// The best plan for a job under our own cost model.
#pragma once
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
  // Seconds, at least 0; then it ends with the best plan so far and its gap. Unset: none.
  std::optional<double> time_limit;
  // Told now and then how far it is; by saying false it ends the search as the time limit does.
  WatchProgress progress;
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
};

// When nothing fits: the plan that needs the least memory.
struct ClosestMiss {
  Bytes needed;  // of the fullest device, reserve included
  int pp_degree = 1;
  int num_microbatches = 1;
  std::int64_t global_batch = 1;
};

struct SearchResult {
  std::optional<FoundPlan> best;            // nullopt: nothing fits, or nothing was found in time
  std::vector<FoundPlan> runners_up;        // ascending step time per sample
  std::optional<ClosestMiss> closest_miss;  // when nothing fits
  Certificate certificate;
};

// `inputs`: hardware and model profile, job; the job's global_batch is one of global_batches.
// ConfigError when the options leave no plan to consider. Every plan returned passes check_plan().
SearchResult search_best_plan(const cost::CostInputs& inputs, const SearchOptions& options);

}  // namespace galvatron::search
