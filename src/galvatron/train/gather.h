// Text from every rank to every rank: the small change of a run's end (timelines, memory).
#pragma once
#include <string>
#include <vector>

#include "galvatron/comm/world.h"

namespace galvatron::train {

// Entry r is what rank r passed. Collective.
std::vector<std::string> gather_texts(comm::World& world, const std::string& text);

}  // namespace galvatron::train
