// The one judge of lists of steps, whoever made them.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "galvatron/plan/schedule_passes.h"

namespace galvatron::plan {

// What the lists are for.
struct ScheduleContext {
  ScheduleShape shape;
  // Of each pipeline rank: the lists then name layers and hold everything that lower() adds. Empty:
  // lists of whole stages with their transfers, as add_transfers() makes them.
  std::vector<RankParts> parts;
  // Microbatches that each pipeline rank may hold between forward and backward, those of its chunks
  // added up; empty: any number.
  std::vector<int> most_in_flight;
};

// What is wrong with a step's lists, one per pipeline rank, in one sentence; nothing where
// - every stage runs every microbatch forward once and then backward once, layer by layer, weight
//   gradients apart for all or for none of them;
// - what comes from another stage is posted, received, used, sent on; sends and receives of two
//   ranks are in the same order; the lists run to their end together;
// - parameters are gathered before they are used and freed after; gradients are added up and
//   reduced once when they are whole, ties at the end and in one order;
// - no rank holds more microbatches than promised.
std::optional<std::string> check_schedule(const std::vector<std::vector<Step>>& lists,
                                          const ScheduleContext& context);

}  // namespace galvatron::plan
