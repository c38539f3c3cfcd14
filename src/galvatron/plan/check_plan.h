// The one judge of plans: searched, hand-written or loaded.
#pragma once
#include <optional>
#include <string>

#include "galvatron/plan/plan.h"

namespace galvatron::plan {

// Ranks on offer. 0: not known yet, skip the check of the plan's world size against it.
struct CheckContext {
  int world_size = 0;
  std::int64_t seq_length = 0;  // 0: skip the checks that need it
};

// What is wrong with a plan, and where.
struct PlanProblem {
  std::string sentence;      // with the values and the way out
  std::optional<int> layer;  // unset: it is of the whole plan
  // "tp_degree", "num_microbatches": the first field that the sentence speaks of; empty: of none.
  std::string field;
};
std::optional<PlanProblem> find_problem(const Plan& plan, const spec::ModelSpec& model,
                                        const CheckContext& context = {});

// Its sentence alone: what is wrong with the plan, as one sentence with the values and the way out;
// nullopt when it can be trained.
std::optional<std::string> check_plan(const Plan& plan, const spec::ModelSpec& model,
                                      const CheckContext& context = {});

// What is wrong with one layer's strategy on a stage of `ranks_per_stage` ranks. The search asks
// this for every candidate.
std::optional<std::string> check_layer_strategy(const LayerStrategy& strategy,
                                                const spec::LayerSpec& layer, int ranks_per_stage);

// check_plan as an exception: ConfigError.
void require_valid_plan(const Plan& plan, const spec::ModelSpec& model,
                        const CheckContext& context = {});

}  // namespace galvatron::plan
