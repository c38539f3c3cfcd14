// A run folder as the report and the page show it.
#pragma once
#include "galvatron/base/json.h"
#include "galvatron/views/run_files.h"

namespace galvatron::views {

// RunView, of a run that goes on, too.
OrderedJson run_view(const Run& run);
// Its "timeline": a row for each rank's computing and one for its communication.
OrderedJson traced_timeline_view(const Run& run);

}  // namespace galvatron::views
