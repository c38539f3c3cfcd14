#include "galvatron/comm/pinning.h"

#include <algorithm>
#include <fstream>

#include <sched.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/environment_variable.h"
#include "galvatron/comm/launch.h"

namespace galvatron::comm {
namespace {

int num_cores_in(const Cpus& cpus, const CpuTopology& topology) {
  return static_cast<int>(
      std::count_if(topology.cores.begin(), topology.cores.end(), [&](const Cpus& core) {
        return std::binary_search(cpus.begin(), cpus.end(), core.front());
      }));
}

// Of `num_parts` in a row, those of rank `index` of `num_ranks`: [first, last).
struct Block {
  int first = 0;
  int last = 0;
  int num_sharing = 1;
};

Block block_of(int num_parts, int index, int num_ranks) {
  if (num_parts >= num_ranks) {
    return {index * num_parts / num_ranks, (index + 1) * num_parts / num_ranks, 1};
  }
  const int part = index * num_parts / num_ranks;
  Block block{part, part + 1, 0};
  for (int other = 0; other < num_ranks; ++other) {
    if (other * num_parts / num_ranks == part) ++block.num_sharing;
  }
  return block;
}

Pin pin_to_parts(const std::vector<Cpus>& parts, const char* what, const CpuTopology& topology,
                 int index, int num_ranks) {
  const int num_parts = static_cast<int>(parts.size());
  const Block block = block_of(num_parts, index, num_ranks);
  Pin pin;
  for (int part = block.first; part < block.last; ++part) {
    pin.cpus.insert(pin.cpus.end(), parts[part].begin(), parts[part].end());
  }
  std::sort(pin.cpus.begin(), pin.cpus.end());
  pin.threads = std::max(1, num_cores_in(pin.cpus, topology) / block.num_sharing);
  pin.place = detail::concat(block.last - block.first, " of ", num_parts, " ", what);
  return pin;
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace

Pin pin_of(PinMode mode, const CpuTopology& topology, int index, int num_ranks) {
  GALV_CHECK(!topology.cores.empty() && index < num_ranks);
  const bool has_nodes = topology.numa_nodes.size() > 1;
  if (mode == PinMode::kCore) {
    return pin_to_parts(topology.cores, "cores", topology, index, num_ranks);
  }
  if (mode == PinMode::kNuma || (mode == PinMode::kAuto && has_nodes)) {
    if (!topology.numa_nodes.empty()) {
      return pin_to_parts(topology.numa_nodes, "NUMA nodes", topology, index, num_ranks);
    }
  }
  Pin pin;
  pin.threads = std::max(1, static_cast<int>(topology.cores.size()) / num_ranks);
  return pin;
}

Sharing sharing_of(const std::vector<std::string>& texts, int rank) {
  const auto own = texts.begin() + rank;
  return {static_cast<int>(std::count(texts.begin(), own, *own)),
          static_cast<int>(std::count(texts.begin(), texts.end(), *own))};
}

std::string own_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  Cpus cpus;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
  }
  return host_name() + " " + boot_id() + " " + cpu_list(cpus);
}

bool user_sets_threads() {
  return variable_text("OMP_NUM_THREADS") && !variable_text(kThreadsVariable);
}

bool nobody_sets_threads() {
  const std::string launcher = read_launch_environment().launcher;
  return !variable_text("OMP_NUM_THREADS") && !launcher.empty() && launcher != "torchrun" &&
         launcher != "galvatron";
}

}  // namespace galvatron::comm
