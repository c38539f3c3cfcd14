// Measures what the ranks of a world can do together. Real processes, real backend.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "galvatron/base/units.h"
#include "galvatron/comm/world.h"
#include "galvatron/profiles/hardware_profile.h"

namespace galvatron::profiler {

// Called now and then on every rank: share done in [0, 1], and what is measured next.
using Progress = std::function<void(double, const std::string&)>;

constexpr Bytes kLargestMessage = gibibytes(1);

struct HardwareProfileOptions {
  // Largest message; nullopt: kLargestMessage, or a sixteenth of a rank's memory where that is
  // less.
  std::optional<Bytes> max_bytes;
  // Time for all collectives; the rest takes a few seconds. Sizes that do not fit are left out.
  double seconds = 45;
  // Rounds in which ranks compute together, and with a collective beside them, over the usual ones.
  double rounds = 1;
  int ranks_per_node = 0;  // 0: all ranks are on one machine
  std::int64_t seed = 0;   // recorded
  Progress progress;
};

// The same numbers on every rank. Collective. Threads of a rank are the caller's choice
// (threads_per_rank) and must be those of training.
profiles::HardwareProfile profile_hardware(comm::World& world,
                                           const HardwareProfileOptions& options);

}  // namespace galvatron::profiler
