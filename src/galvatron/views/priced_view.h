// What a plan costs, for the page: memory against the budget, time by what is done.
#pragma once
#include "galvatron/base/json.h"
#include "galvatron/planning/plan_question.h"

namespace galvatron::views {

// Priced
OrderedJson priced_view(const planning::PricedPlan& priced);

// MemoryView and TimeView
OrderedJson memory_view(const planning::PricedPlan& priced);
OrderedJson time_view(const planning::PricedPlan& priced);

// [{"name", "bytes", "text"}] of those that are not zero, in the order of MemoryPart.
OrderedJson memory_parts_view(const cost::StageMemory& memory);

// TimeView's "parts": they add up to the step.
OrderedJson step_parts_view(const planning::PricedPlan& priced);

}  // namespace galvatron::views
