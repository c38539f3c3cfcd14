// A step of a plan as a picture: columns of events by the rows on which they lie.
#pragma once
#include <cstddef>
#include <optional>

#include "galvatron/base/json.h"
#include "galvatron/base/partition.h"
#include "galvatron/planning/plan_question.h"

namespace galvatron::views {

inline constexpr std::size_t kMostTimelineEvents = 20'000;

// TimelineView: what is computed again is an event in front of its backward, and so is each wait
// that no communication of the rank's own fills. Of more than `max_events` those of the beginning
// and of the end. `pp_ranks`: those whose events it has; unset: all. ConfigError for ranks that the
// step does not have.
OrderedJson timeline_view(const cost::Timeline& timeline,
                          std::size_t max_events = kMostTimelineEvents,
                          std::optional<Range> pp_ranks = std::nullopt);

}  // namespace galvatron::views
