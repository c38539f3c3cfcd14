#include "galvatron/views/search_answer.h"

#include <utility>

#include "galvatron/plan/recorded_question.h"
#include "galvatron/planning/answer.h"
#include "galvatron/search/report.h"

namespace galvatron::views {

std::int64_t SearchAnswer::global_batch() const {
  if (result.best) return result.best->plan.global_batch;
  if (result.closest_miss) return result.closest_miss->global_batch;
  return prepared.options.global_batches.front();
}

std::string SearchAnswer::question_text() const {
  return to_text(prepared.question, global_batch(), profiles::current_time());
}

std::string SearchAnswer::text() const {
  if (!result.best) return no_plan_text(result, memory()) + "\n";
  const search::FoundPlan& best = *result.best;
  const planning::Question& question = prepared.question;
  std::string out = to_text(best, memory()) +
                    to_text(planning::throughput(question, best.plan, best.cost), question) +
                    extrapolated_text(question, best.plan) + "\n" + to_text(baselines, best);
  if (explanation) out += to_text(*explanation, result, memory());
  return out;
}

plan::Plan SearchAnswer::best_plan() const {
  plan::Plan plan = result.best->plan;
  plan.search = planning::search_to_json(prepared.question, result);
  plan.search["baselines"] = planning::baselines_to_json(baselines, *result.best);
  plan::record_question(plan, prepared.question.inputs(plan.global_batch).job);
  return plan;
}

SearchAnswer answer_search(planning::PreparedSearch prepared, bool explain,
                           search::WatchProgress watch) {
  SearchAnswer out{std::move(prepared), {}, {}, {}};
  out.result = out.prepared.run(std::move(watch));
  if (!out.result.best) return out;
  const auto inputs = out.prepared.question.inputs(out.global_batch());
  out.baselines = planning::find_baselines(inputs, out.memory());
  if (explain) out.explanation = planning::explain(out.prepared, out.result);
  return out;
}

}  // namespace galvatron::views
