// Questions about plans that are there: requests of visualizer/src/api/types.ts, answered by
// views/. ConfigError for what is wrong with a request.
#pragma once
#include "galvatron/base/json.h"

namespace galvatron::server {

OrderedJson plan_answer(const Json& request);      // PlanView
OrderedJson timeline_answer(const Json& request);  // TimelineView
OrderedJson memory_answer(const Json& request);    // MemoryDetail
OrderedJson compare_answer(const Json& request);   // Comparison
OrderedJson export_answer(const Json& request);    // the plan file with its prediction

}  // namespace galvatron::server
