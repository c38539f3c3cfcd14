// Rank threads whose links are slow: every operation takes as long as a hardware profile says, and
// costs no processor meanwhile. So a few cores can show how many ranks wait for each other.
#pragma once
#include <functional>

#include "galvatron/comm/world.h"
#include "galvatron/profiles/hardware_profile.h"

namespace galvatron::bench {

// Runs `body` on a thread for each rank of the profile. Operations of one group run one after the
// other; messages between two ranks of one kind too. Those of several groups of a rank share its
// links, inside the node or across: n of them take n times as long. Messages between stages have
// links of their own. The first exception of any rank is rethrown.
void run_on_slow_links(const profiles::HardwareProfile& links,
                       const std::function<void(comm::World&)>& body);

}  // namespace galvatron::bench
