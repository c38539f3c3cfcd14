// Every shape of a question's space.
#pragma once
#include <memory>
#include <vector>

#include "galvatron/search/shape_candidate.h"

namespace galvatron::search {

// Batches x pipeline degrees x microbatch counts x schedules, of pipelines that are made where they
// are missing. ConfigError when there is none.
std::vector<std::unique_ptr<ShapeCandidate>> make_shapes(SearchInputs& inputs,
                                                         SharedPipelines& pipelines);

}  // namespace galvatron::search
