// A plan as somebody gave it with the machine that he asks about: what it costs, or what is wrong
// with it.
#pragma once
#include <optional>
#include <string>

#include "galvatron/plan/check_plan.h"
#include "galvatron/planning/plan_question.h"

namespace galvatron::views {

// What is asked about plans.
struct PlanQuestion {
  planning::PlanQuestionRequest request;
  spec::ModelSpec model;
  planning::MachineKnowledge machine;
};

// Not checked.
struct NamedPlan {
  std::string name;
  plan::Plan plan;
};

struct PlanAnswer {
  NamedPlan asked;
  // Exactly one of them is there.
  std::optional<plan::PlanProblem> problem;
  std::optional<planning::PricedPlan> priced;
};

// What the machine says against the plan, such as nodes that its ranks do not fill, is a problem of
// the plan too.
PlanAnswer answer_plan(const PlanQuestion& question, NamedPlan asked);

}  // namespace galvatron::views
