// What people take by hand, each tuned, to stand beside the plan that was found: one strategy for
// all layers and balanced stages, so that each is a small space whose every plan is priced.
#pragma once
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/planning/question.h"
#include "galvatron/search/search.h"

namespace galvatron::planning {

struct Baseline {
  std::string name;  // "ZeRO-3"
  std::string help;  // one sentence: what it is and what is tuned
  // The fastest of its plans that fits; where none does, the one that needs the least memory.
  search::FoundPlan found;
  plan::LayerStrategy strategy;  // of its blocks
  Bytes missing;                 // by which the fullest device exceeds the memory; 0: it fits

  bool fits() const { return missing.value == 0; }
};

// In the order in which they shard more. Tuned for the job's batch over the microbatch counts of
// the search (search::microbatch_counts); constraints of a search are none of theirs.
// `memory`: of one device, the reserve included.
std::vector<Baseline> find_baselines(const cost::CostInputs& inputs, Bytes memory);

// What plans are compared by.
enum class StepFigure { kFormula, kSimulation };
// What the plan was chosen by: the simulation where it overruled the formula.
StepFigure chosen_by(const search::SearchResult& result);

// The fastest that fits; nullptr: none does.
const Baseline* best_baseline(const std::vector<Baseline>& baselines,
                              StepFigure by = StepFigure::kFormula);

// One row each, then what `found` gains over the best of them.
std::string to_text(const std::vector<Baseline>& baselines, const search::FoundPlan& found,
                    StepFigure by = StepFigure::kFormula);
// Where the search found none: what each of them lacks.
std::string to_text(const std::vector<Baseline>& baselines);

// {"plans": [{"name", "fits", "missing_bytes", "step_ms", ...}], "best": name or null, "gain":
// samples/s of `found` over those of the best, less 1, or null, "compared_by"}.
OrderedJson baselines_to_json(const std::vector<Baseline>& baselines,
                              const search::FoundPlan& found, StepFigure by = StepFigure::kFormula);

}  // namespace galvatron::planning
