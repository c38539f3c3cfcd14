// What holds for every training step, whoever has the loop.
#pragma once
#include <cstdint>
#include <functional>

#include "galvatron/comm/world.h"

namespace galvatron::train {

// Runs `body` of step `step`. Whatever fails, the groups are dropped first: the peers then fail in
// milliseconds. A RuntimeFailure leaves as one that says the step, running out of memory as one
// that says the way out.
void guard_step(comm::World& world, std::int64_t step, const std::function<void()>& body);

}  // namespace galvatron::train
