// Results of a search as text for people and as JSON for plan files.
#pragma once
#include <string>
#include <vector>

#include "galvatron/search/search.h"

namespace galvatron::search {

// How much more than the whole: "+1.50 %".
std::string percent_more(double part, double whole);

// "4 stages, 16 microbatches": the pipeline of a plan in a few words.
std::string shape_text(const plan::Plan& plan);

// Runs of layers of one kind by strategy: one row per run and stage; its first two cells are stage
// and layers.
struct PlanRows {
  std::vector<std::string> heads;
  std::vector<std::vector<std::string>> rows;
};
// Without `layer_names` a run is called by its number of layers.
PlanRows plan_rows(const plan::Plan& plan, const std::vector<std::string>& layer_names = {});
std::string plan_table(const FoundPlan& found);

// The plan, its stages' memory against the budget, where the step's time goes.
std::string to_text(const FoundPlan& found, Bytes budget);
// One line where the simulation overruled the formula, else nothing.
std::string chosen_text(const SearchResult& result);
// One sentence: how much the leanest plan needs.
std::string to_text(const ClosestMiss& miss, Bytes budget);
// One sentence: that nothing fits, or that time was over first. REQUIRES: it found no plan.
std::string no_plan_text(const SearchResult& result, Bytes budget);

// For the plan's `search` section: prediction, certificate, runner-ups.
// REQUIRES: it found a plan.
OrderedJson search_to_json(const SearchResult& result, Bytes budget);

}  // namespace galvatron::search
