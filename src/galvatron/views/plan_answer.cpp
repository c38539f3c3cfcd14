#include "galvatron/views/plan_answer.h"

#include <utility>

#include "galvatron/base/error.h"

namespace galvatron::views {

PlanAnswer answer_plan(const PlanQuestion& question, NamedPlan asked) {
  PlanAnswer out{std::move(asked), {}, {}};
  const plan::Plan& plan = out.asked.plan;
  out.problem = plan::find_problem(plan, question.model);
  if (out.problem) return out;
  planning::Question prepared;
  try {
    prepared = question_of_plan(question.request, plan, question.model, question.machine);
  } catch (const ConfigError& error) {
    out.problem = plan::PlanProblem{error.what(), std::nullopt, ""};
    return out;
  }
  out.problem = plan::find_problem(plan, question.model, {0, prepared.job.seq_length});
  if (!out.problem) out.priced = price_plan(std::move(prepared), plan, out.asked.name);
  return out;
}

}  // namespace galvatron::views
