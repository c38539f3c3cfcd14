// What the page begins with: Start of visualizer/src/api/types.ts.
#pragma once
#include "galvatron/base/json.h"

namespace galvatron::server {

// "models", "clusters", "options", "strategy_fields", "schedules": what this build knows.
OrderedJson known_names();

}  // namespace galvatron::server
