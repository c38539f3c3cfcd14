// A solver's answer as a plan: checked, and priced by the cost model.
#pragma once
#include <vector>

#include "galvatron/cost/cost_tables.h"
#include "galvatron/search/search.h"

namespace galvatron::search {

struct FoundAnswer {
  cost::PipelineShape shape;
  std::vector<int> layers_per_stage;
  std::vector<plan::LayerStrategy> layers;
  double step_ms = 0;  // as the solver saw it
};

// The strategies of a choice: candidate of each layer.
std::vector<plan::LayerStrategy> strategies(const cost::CostTables& tables,
                                            const std::vector<int>& choice);

// InternalError when the plan cannot be trained, or takes another time than the solver saw
FoundPlan make_found_plan(const cost::CostInputs& inputs, FoundAnswer answer);

}  // namespace galvatron::search
