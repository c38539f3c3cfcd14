// Cores and memory of this machine, as far as this process may use them, by hwloc.
#pragma once
#include <string>
#include <vector>

namespace galvatron::comm {

using Cpus = std::vector<int>;  // hardware threads by the system's numbers, ascending

// "0-3,8"
std::string cpu_list(const Cpus& cpus);

struct CpuTopology {
  std::vector<Cpus> cores;       // hardware threads of each; neighbours share caches
  std::vector<Cpus> numa_nodes;  // of each node that has any
};

// False: the build was made without hwloc, and the two functions below throw a ConfigError.
bool knows_topology();

// What this thread may use: by its control group (Slurm, containers) and by its own affinity.
CpuTopology read_topology();

// Binds this thread, and those that it will start. RuntimeFailure where the system refuses.
void bind_to(const Cpus& cpus);

}  // namespace galvatron::comm
