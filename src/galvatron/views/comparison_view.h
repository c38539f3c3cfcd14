// Two plans side by side, for the page.
#pragma once
#include "galvatron/base/json.h"
#include "galvatron/views/plan_answer.h"

namespace galvatron::views {

// Both of the same training: length and optimizer that nobody asks for are those that `one`
// records.
struct ComparedPlans {
  PlanAnswer one, other;
};
ComparedPlans answer_both(const PlanQuestion& question, NamedPlan one, NamedPlan other);

// Comparison
OrderedJson comparison_view(const ComparedPlans& plans, const spec::ModelSpec& model);

}  // namespace galvatron::views
