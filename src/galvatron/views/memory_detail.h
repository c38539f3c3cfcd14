// The memory of one pipeline rank for the page: over a step, at its peak, and down to tensors.
#pragma once
#include "galvatron/base/json.h"
#include "galvatron/planning/plan_question.h"

namespace galvatron::views {

// MemoryDetail. ConfigError for a pipeline rank that the plan does not have.
OrderedJson memory_detail(const planning::PricedPlan& priced, int pp_rank);

}  // namespace galvatron::views
