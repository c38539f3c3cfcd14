// The answers of searches for the page: one plan, or tables of many.
#pragma once
#include <string>

#include "galvatron/base/json.h"
#include "galvatron/planning/result_files.h"
#include "galvatron/views/search_answer.h"

namespace galvatron::views {

// SearchView
OrderedJson search_view(const SearchAnswer& answer);

// {"progress": ...}: a line while it runs. `samples`: of a step.
OrderedJson search_progress_view(const search::SearchProgress& progress);
// The same of a frontier or a sweep: "12 of 32 searches".
OrderedJson results_progress_view(std::int64_t done, std::int64_t total);

// ResultsView
OrderedJson results_view(const planning::Results& results, const std::string& title);

}  // namespace galvatron::views
