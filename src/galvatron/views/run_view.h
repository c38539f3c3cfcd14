// A run folder as the report and the page show it.
#pragma once
#include <optional>

#include "galvatron/base/json.h"
#include "galvatron/plan/recorded_prediction.h"
#include "galvatron/views/run_files.h"

namespace galvatron::views {

// The prediction that the plan records, where it is of this run.
std::optional<plan::RecordedPrediction> prediction_of(const Run& run);
// RunView, of a run that goes on, too.
OrderedJson run_view(const Run& run);
// Its "timeline": a row for each rank's computing and one for its communication.
OrderedJson traced_timeline_view(const Run& run);

}  // namespace galvatron::views
