// Of plans that are nearly as good, one that people can read.
#pragma once
#include <vector>

#include "galvatron/search/choice_pricer.h"

namespace galvatron::search {

// Consecutive layers of a stage that are of one type and have one strategy, counted over all
// stages.
int count_runs(const ChoicePricer& pricer, const std::vector<int>& choice);

// The same partition with fewer runs, then with fewer stages that differ, while the step takes at
// most `most_ms` and every stage fits: runs between two that stay are given up for a strategy that
// the plan has anyway, those that cost least for each run that is saved first. Layers that share a
// weight stay as they are. Not proven to be the fewest; one run for each type of a stage is.
std::vector<int> simplify_choice(const ChoicePricer& pricer, std::vector<int> choice,
                                 double most_ms);

}  // namespace galvatron::search
