// What all ranks must have in common before the first step.
#pragma once
#include "galvatron/base/json.h"
#include "galvatron/comm/world.h"

namespace galvatron::train {

// `facts`: {thing: value}, in the words of the user. ConfigError on every rank, naming the first
// rank that differs from rank 0, its host, the thing and both values. Collective.
void require_agreement(comm::World& world, const OrderedJson& facts);

}  // namespace galvatron::train
