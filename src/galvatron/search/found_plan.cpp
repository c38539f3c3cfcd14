#include "galvatron/search/found_plan.h"

#include <cmath>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/plan/check_plan.h"

namespace galvatron::search {

std::vector<plan::LayerStrategy> strategies(const cost::CostTables& tables,
                                            const std::vector<int>& choice) {
  std::vector<plan::LayerStrategy> out;
  for (std::size_t i = 0; i < choice.size(); ++i) {
    const auto type = static_cast<std::size_t>(tables.type_of_layer[i]);
    out.push_back(tables.candidates[type][static_cast<std::size_t>(choice[i])]);
  }
  return out;
}

int FoundPlan::num_runs() const {
  std::size_t count = 0;
  for (int stage = 0; stage < plan.pipeline.num_stages(); ++stage) {
    count += layer_runs(plan, plan.layers_of_stage(stage), layer_names).size();
  }
  return static_cast<int>(count);
}

FoundPlan make_found_plan(const cost::CostInputs& inputs, FoundAnswer answer) {
  FoundPlan found;
  plan::Plan& plan = found.plan;
  plan.model = inputs.model.name;
  plan.shapes = spec::block_shapes(inputs.model);
  plan.world_size = answer.shape.world_size();
  plan.global_batch = inputs.job.global_batch;
  plan.num_microbatches = answer.shape.num_microbatches;
  plan.precision = inputs.job.precision;
  plan.communication = inputs.job.communication;
  plan.pipeline = {answer.shape.pp_degree, answer.shape.schedule,
                   std::move(answer.layers_per_stage)};
  plan.layers = std::move(answer.layers);
  const auto problem =
      plan::check_plan(plan, inputs.model, {plan.world_size, inputs.job.seq_length});
  GALV_CHECK(!problem, "found an invalid plan: ", problem.value_or(""));
  found.layer_names = inputs.model.layer_names();
  found.cost = cost::estimate(inputs, plan);
  const double searched_ms = cost::cost_as_searched(inputs, plan).step_time.value;
  GALV_CHECK(std::abs(searched_ms - answer.step_ms) <= 1e-9 * answer.step_ms, "the search saw ",
             answer.step_ms, " ms, the cost model ", searched_ms);
  return found;
}

}  // namespace galvatron::search
