// What more or less memory of a device is worth: the best plan at every budget, as steps.
//
// A plan that a search finds in a budget is the best one down to the bytes that it needs, so a
// search tells of a whole range of budgets. Each next one is asked where the least is known: in the
// middle of a range that no answer covers, or a byte below a step, which is then exact.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/planning/chart.h"
#include "galvatron/planning/result_table.h"
#include "galvatron/planning/search_request.h"

namespace galvatron::planning {

struct FrontierRequest {
  int num_budgets = 32;  // searches
};
// `request` must outlive the list: for the command line and Python.
OptionList frontier_options(FrontierRequest& request);

// The best plan at every budget of from .. to, or one that is slower by no more than simplicity
// allows.
struct FrontierStep {
  Bytes from;  // what the plan needs, to the byte; with less it does not fit
  Bytes to;
  search::SearchResult result;
  double bound = 0;  // no plan is faster in any of these budgets; ms per sample
  // As the search counts it (cost::cost_as_searched), which decides between plans: where layers
  // share a weight a prediction may be a little less.
  double ms_per_sample = 0;
};

struct Frontier {
  std::vector<FrontierStep> steps;  // ascending budgets, each faster per sample than those before
  Bytes asked;                      // the question's own budget
  Bytes end;                        // no budget above it was asked
  // Nothing fits in so much. One byte below the first step, unless `least_is_exact` is false.
  Bytes too_little;
  bool least_is_exact = false;
  // With all the memory that it can use; the last step where that is not more than `end`.
  std::optional<FrontierStep> unlimited;
  std::optional<search::ClosestMiss> closest_miss;  // where there is no step
  double simplicity = 0;  // of the search: how far from the best plans the steps may be
  int num_searches = 0;

  // Is every budget known from this step to the next? Else others lie between, whose times lie
  // between theirs.
  bool touches_next(std::size_t step) const;
  // By how much the step's plan is slower than the best one in any budget up to the next step, at
  // most (0.01: 1 %); 0: it is the best one in all of them.
  double off_by(std::size_t step) const;
  // Is every budget at which the plan changes some step's `from`?
  bool is_complete() const;
  // Index of the step that holds at `memory`; nullopt: it is below all, or in between.
  std::optional<std::size_t> step_at(Bytes memory) const;
};

// Called after each search: how many there were.
using FrontierProgress = std::function<void(int num_searches)>;

// Budgets up to the question's memory; up to twice that where it is all that the device has. The
// steps are those of separate searches, one per budget (search_best_plan). ConfigError for a time
// limit, which is of one search.
Frontier find_frontier(const PreparedSearch& prepared, const FrontierRequest& request,
                       const FrontierProgress& progress = {});

ResultTable frontier_table(const Frontier& frontier, const Question& question);
// Where it begins and ends, and what is not known: lines that end in '\n'.
std::string frontier_notes(const Frontier& frontier);
// Table, JSON and picture: REQUIRES a step.
OrderedJson frontier_to_json(const Frontier& frontier, const Question& question);
Chart frontier_chart(const Frontier& frontier, const Question& question);

}  // namespace galvatron::planning
