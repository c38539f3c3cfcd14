// Which ranks form a group: TP on neighbours, or strided so that data-parallel ranks are neighbours
// (plan::LayerStrategy::tp_consecutive).
#pragma once
#include "galvatron/cost/cost_tables.h"

namespace galvatron::search {

// Takes away the strided layouts that no best plan needs. A layout goes when each of its
// candidates, in every layer type, has a consecutive twin with
//   forward <= forward',  backward <= backward',  forward + backward + once <= the same of it
// Proof: put the twins of one such layout in a plan's place everywhere. Memory is the same: it
// depends on degrees alone. No change of layout takes longer: between a strided layout and another
// one everything moves (cost/layer_time.cpp). Times per microbatch fall, by d in all, so the sum
// falls by d and neither maximum rises; `once` of a stage rises by at most d. (Of pipelines with
// one stage per rank. Interleaved ones are searched with neighbours only.)
void drop_useless_placements(cost::CostTables& tables);

}  // namespace galvatron::search
