// A tree of what lies in a rank's memory at its peak: part, layer, tensor. Children add up to their
// parents, and parts to the prediction.
#pragma once
#include "galvatron/base/json.h"
#include "galvatron/cost/memory_over_time.h"
#include "galvatron/planning/plan_question.h"

namespace galvatron::views {

// MemoryDetail's "tree". Under ZeRO a rank holds slices of what its layers lie in one after the
// other; each tensor counts with its share of them.
OrderedJson memory_tree(const planning::PricedPlan& priced, const cost::MemoryPeakDetail& peak,
                        int pp_rank);

// {"name", "bytes", "text"}
OrderedJson memory_node(const std::string& name, std::int64_t bytes);

// What is there for a while at the peak, each with the layer that it is of; they add up to the
// prediction's transient part.
struct TransientPiece {
  int layer = 0;
  std::string name;
  std::int64_t bytes = 0;
};
std::vector<TransientPiece> transient_pieces(const cost::MemoryPeakDetail& peak);

}  // namespace galvatron::views
