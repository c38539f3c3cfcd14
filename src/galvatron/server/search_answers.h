// Searches: requests of visualizer/src/api/types.ts, answered line by line by views/. What is wrong
// with a request is a ConfigError at once; the work comes later, with the lines to write to.
#pragma once
#include <functional>

#include "galvatron/base/json.h"
#include "galvatron/server/lines.h"

namespace galvatron::server {

using SearchWork = std::function<void(Lines& lines)>;

// `seconds`: no search takes more.
SearchWork search_answer(const Json& request, double seconds);    // SearchLine
SearchWork frontier_answer(const Json& request, double seconds);  // ResultsLine
SearchWork sweep_answer(const Json& request, double seconds);     // ResultsLine

}  // namespace galvatron::server
