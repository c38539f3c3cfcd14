#include "galvatron/search/shape_candidate.h"

#include "galvatron/search/simplify.h"
#include "galvatron/search/tidy.h"

namespace galvatron::search {

FoundPlan ShapeCandidate::describe(const ShapeAnswer& answer, double most_ms) {
  FoundAnswer found{shape_, answer.layers_per_stage, {}, answer.step_ms};
  const cost::CostTables& its_tables = tables();
  // Of one strategy for all layers of a kind there is nothing to tidy.
  if (shape_.stages_per_rank > 1) {
    found.layers = strategies(its_tables, answer.choice);
    return make_found_plan(shared_->cost_inputs(), std::move(found));
  }
  const ChoicePricer pricer(its_tables, answer.layers_per_stage, budget());
  const std::vector<int> tidy = tidy_choice(pricer, answer.choice);
  std::vector<int> choice = tidy;
  const double limit_ms = most_ms * shared_->samples();
  if (limit_ms > answer.step_ms) choice = simplify_choice(pricer, tidy, limit_ms);
  if (choice != tidy) found.step_ms = pricer.step_ms(choice);
  found.layers = strategies(its_tables, choice);
  FoundPlan out = make_found_plan(shared_->cost_inputs(), std::move(found));
  out.runs_before = out.num_runs() + count_runs(pricer, tidy) - count_runs(pricer, choice);
  return out;
}

}  // namespace galvatron::search
