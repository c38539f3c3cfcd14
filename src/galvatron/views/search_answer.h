// What a search found with all that is said of it: the command line, Python and the page show the
// same.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "galvatron/planning/baselines.h"
#include "galvatron/planning/explain.h"
#include "galvatron/planning/search_request.h"

namespace galvatron::views {

struct SearchAnswer {
  planning::PreparedSearch prepared;
  search::SearchResult result;
  std::optional<search::FoundPlan> leanest;   // that of the closest miss, where nothing fits
  std::vector<planning::Baseline> baselines;  // none where the search was ended before it knew
  std::optional<planning::Explanation> explanation;

  Bytes memory() const { return prepared.question.memory; }
  // That the answer is of.
  std::int64_t global_batch() const;

  // What was asked; what was found and its throughput, or why nothing was; the baselines; what the
  // explanation says. As the command line prints them, one below the other.
  std::string question_text() const;
  std::string text() const;

  // With the whole answer in its search section. REQUIRES: a plan was found.
  plan::Plan best_plan() const;
};

// `explain`: why that plan, where there is one; searches a few times more. `watch` is told of the
// first search, and prepared.options.progress of all of them where there is no `watch`.
SearchAnswer answer_search(planning::PreparedSearch prepared, bool explain,
                           search::WatchProgress watch = nullptr);

}  // namespace galvatron::views
