// A plan for the page: its layers and stages, and what it costs or what is wrong with it.
#pragma once
#include "galvatron/base/json.h"
#include "galvatron/views/plan_answer.h"

namespace galvatron::views {

// PlanView. A plan that cannot be trained has its layers and stages as far as it says them.
OrderedJson plan_view(const PlanAnswer& answer, const spec::ModelSpec& model);

// Of PlanView what needs no machine: "plan", "layers", "stages", "ranks".
OrderedJson plan_outline(const plan::Plan& plan, const spec::ModelSpec& model);

}  // namespace galvatron::views
