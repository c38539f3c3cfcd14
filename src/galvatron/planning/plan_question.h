// Questions about a plan that is there already: what it takes on a machine. Batch, precision and
// ranks are the plan's; sequence length and optimizer are those that its search section records,
// unless others are asked for.
#pragma once
#include <string>

#include "galvatron/base/option.h"
#include "galvatron/cost/plan_cost.h"
#include "galvatron/planning/question.h"

namespace galvatron::planning {

struct PlanQuestionRequest {
  // In the user's words; world_size, precision and optimizer are left to the plan.
  QuestionRequest question;
  std::string optimizer;  // empty: the plan's recorded one, else the default
};
// `request` must outlive the list: for the command line and Python.
OptionList plan_question_options(PlanQuestionRequest& request);

struct PricedPlan {
  std::string name;  // what tables call it
  plan::Plan plan;
  Question question;  // its memory is 0 where nobody knows it
  cost::PlanCost cost;

  bool fits() const { return question.memory.value == 0 || cost.peak_memory() <= question.memory; }
};

// What is asked about the plan. ConfigError for numbers that are missing or contradict each other.
// REQUIRES: it is a plan for the model.
Question question_of_plan(const PlanQuestionRequest& request, const plan::Plan& plan,
                          const spec::ModelSpec& model, const MachineKnowledge& knowledge);
// REQUIRES: check_plan() has no objection, at the question's length.
PricedPlan price_plan(Question question, plan::Plan plan, const std::string& name);

// All of it. ConfigError for a plan that cannot be trained, or numbers that are missing or
// contradict each other.
PricedPlan price_plan(const PlanQuestionRequest& request, plan::Plan plan,
                      const spec::ModelSpec& model, const MachineKnowledge& knowledge,
                      const std::string& name);

// The same training for another plan: lengths and optimizer are those of `priced`.
PlanQuestionRequest same_training(PlanQuestionRequest request, const PricedPlan& priced);

// Stages with times and memory, the split of the step's time, throughput.
std::string priced_plan_table(const PricedPlan& priced);

// One sentence with the bytes. REQUIRES: it does not fit.
std::string why_it_does_not_fit(const PricedPlan& priced);

// The plan with its prediction, and the training that it is of, in its search section.
plan::Plan with_prediction(const PricedPlan& priced);

}  // namespace galvatron::planning
