// Of plans that are equally good, the one that reads best.
#pragma once
#include <cstdint>
#include <vector>

#include "galvatron/cost/cost_tables.h"

namespace galvatron::search {

// The same candidates in the same stages, equal ones side by side as far as the step is no slower
// and no stage needs more than `budget` bytes for it. `choice`: candidate of every layer.
std::vector<int> tidy_choice(const cost::CostTables& tables,
                             const std::vector<int>& layers_per_stage, std::vector<int> choice,
                             std::int64_t budget);

}  // namespace galvatron::search
