#include "galvatron/search/shape_candidate.h"

#include "galvatron/search/tidy.h"

namespace galvatron::search {

FoundPlan ShapeCandidate::describe(const ShapeAnswer& answer) {
  // Of one strategy for all layers of a kind there is nothing to tidy.
  const std::vector<int> choice =
      shape_.stages_per_rank > 1
          ? answer.choice
          : tidy_choice(tables(), answer.layers_per_stage, answer.choice, budget());
  return make_found_plan(shared_->cost_inputs(), {shape_, answer.layers_per_stage,
                                                  strategies(tables(), choice), answer.step_ms});
}

}  // namespace galvatron::search
