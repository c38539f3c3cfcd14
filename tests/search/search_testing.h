// A search as tests ask for it.
#pragma once
#include <vector>

#include "galvatron/search/search.h"
#include "galvatron/search/solvers/tolerance.h"

#include "search/planning_example.h"

namespace galvatron::search {

inline SearchOptions with_memory(Bytes memory) {
  SearchOptions options;
  options.memory = memory;
  options.num_runners_up = 0;
  options.simplicity = 0;
  options.simulate_within = 0;
  return options;
}

using Constraints = std::vector<const char*>;
inline void allow(SearchOptions& options, const Constraints& constraints) {
  for (const char* text : constraints) add_constraint(options.space, text, true);
}

inline double ms_per_sample(const SearchResult& result) {
  if (!result.best) return kInfinity;
  return result.best->cost.step_time.value / static_cast<double>(result.best->plan.global_batch);
}

}  // namespace galvatron::search
