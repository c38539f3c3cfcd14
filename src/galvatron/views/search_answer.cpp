#include "galvatron/views/search_answer.h"

#include <utility>

#include "galvatron/plan/recorded_question.h"
#include "galvatron/planning/answer.h"
#include "galvatron/search/report.h"

namespace galvatron::views {
namespace {

// What it needs is known: of its shape the plan that fits there.
std::optional<search::FoundPlan> leanest_plan(planning::PreparedSearch prepared,
                                              const search::ClosestMiss& miss) {
  search::SearchOptions& options = prepared.options;
  options.memory = miss.needed;
  options.global_batches = {miss.global_batch};
  options.space.pp_degrees.only = {miss.pp_degree};
  options.space.num_microbatches.only = {miss.num_microbatches};
  options.num_runners_up = 0;
  options.simulate_within = 0;
  options.closest_miss_below = {};
  return prepared.run().best;
}

std::string text_of_miss(const SearchAnswer& answer) {
  std::string out = no_plan_text(answer.result, answer.memory()) + "\n";
  if (answer.leanest) out += "\n" + to_text(*answer.leanest, answer.memory());
  if (!answer.baselines.empty()) out += "\n" + to_text(answer.baselines);
  return out;
}

}  // namespace

std::int64_t SearchAnswer::global_batch() const {
  if (result.best) return result.best->plan.global_batch;
  if (result.closest_miss) return result.closest_miss->global_batch;
  return prepared.options.global_batches.front();
}

std::string SearchAnswer::question_text() const {
  return to_text(prepared.question, global_batch(), profiles::current_time());
}

std::string SearchAnswer::text() const {
  if (!result.best) return text_of_miss(*this);
  const search::FoundPlan& best = *result.best;
  const planning::Question& question = prepared.question;
  std::string out = to_text(best, memory()) +
                    to_text(planning::throughput(question, best.plan, best.cost), question) +
                    extrapolated_text(question, best.plan) + search::chosen_text(result) + "\n" +
                    to_text(baselines, best, planning::chosen_by(result));
  if (explanation) out += to_text(*explanation, result, memory());
  return out;
}

plan::Plan SearchAnswer::best_plan() const {
  plan::Plan plan = result.best->plan;
  plan.search = planning::search_to_json(prepared.question, result);
  plan.search["baselines"] =
      planning::baselines_to_json(baselines, *result.best, planning::chosen_by(result));
  plan::record_question(plan, prepared.question.inputs(plan.global_batch).job);
  return plan;
}

SearchAnswer answer_search(planning::PreparedSearch prepared, bool explain,
                           search::WatchProgress watch) {
  SearchAnswer out{std::move(prepared), {}, {}, {}, {}};
  out.result = out.prepared.run(std::move(watch));
  if (!out.result.best && !out.result.closest_miss) return out;
  if (out.result.closest_miss) out.leanest = leanest_plan(out.prepared, *out.result.closest_miss);
  const auto inputs = out.prepared.question.inputs(out.global_batch());
  out.baselines = planning::find_baselines(inputs, out.memory());
  if (explain && out.result.best) out.explanation = planning::explain(out.prepared, out.result);
  return out;
}

}  // namespace galvatron::views
