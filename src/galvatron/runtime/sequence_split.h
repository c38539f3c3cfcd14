// How a sequence of any length lies over the ranks of a layer, as its code sees it.
#pragma once
#include "galvatron/nn/layer.h"
#include "galvatron/plan/rank_layout.h"

namespace galvatron::runtime {

nn::SequenceSplit sequence_split(const plan::LayerStrategy& strategy, int ranks_per_stage, int rank_in_stage,
                                 std::int64_t length);

}  // namespace galvatron::runtime
