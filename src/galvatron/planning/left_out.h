// What the space of a search does not hold, beside a certificate that calls a plan optimal in it.
#pragma once
#include <string>
#include <vector>

#include "galvatron/planning/search_request.h"

namespace galvatron::planning {

// One phrase each: what the constraints exclude, what is not supported yet, what the search does
// not choose (docs/design/search.md, section 1), as far as it applies to the question.
std::vector<std::string> left_out(const PreparedSearch& prepared);

}  // namespace galvatron::planning
