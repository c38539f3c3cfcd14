// Every shape of a question's space.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "galvatron/search/shape_candidate.h"

namespace galvatron::search {

// Batches x pipeline degrees x microbatch counts x schedules, of pipelines that are made where they
// are missing; where they are many without those of microbatches that are too large for any plan,
// which are counted in `too_large`. The smallest microbatch stays. ConfigError when there is none.
std::vector<std::unique_ptr<ShapeCandidate>> make_shapes(SearchInputs& inputs,
                                                         SharedPipelines& pipelines,
                                                         std::int64_t* too_large = nullptr);

}  // namespace galvatron::search
