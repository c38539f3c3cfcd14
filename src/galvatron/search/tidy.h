// Of plans that are equally good, the one that reads best.
#pragma once
#include <vector>

#include "galvatron/search/choice_pricer.h"

namespace galvatron::search {

// The same candidates in the same stages, equal ones side by side as far as the step is no slower
// and the stage still fits. `choice`: candidate of every layer.
std::vector<int> tidy_choice(const ChoicePricer& pricer, std::vector<int> choice);

}  // namespace galvatron::search
