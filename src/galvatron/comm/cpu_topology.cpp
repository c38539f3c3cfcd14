#include "galvatron/comm/cpu_topology.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#ifdef GALVATRON_HWLOC
#include <hwloc.h>
#endif

#include "galvatron/base/error.h"

namespace galvatron::comm {

std::string cpu_list(const Cpus& cpus) {
  std::string out;
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t last = i;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    out += (out.empty() ? "" : ",") + std::to_string(cpus[i]);
    if (last > i) out += "-" + std::to_string(cpus[last]);
    i = last + 1;
  }
  return out;
}

#ifdef GALVATRON_HWLOC

namespace {

struct DestroyTopology {
  void operator()(hwloc_topology* topology) const { hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<hwloc_topology, DestroyTopology>;

struct FreeBitmap {
  void operator()(hwloc_bitmap_s* bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<hwloc_bitmap_s, FreeBitmap>;

// Without what the process's control group takes away, which hwloc leaves out by itself.
Topology load_topology() {
  hwloc_topology_t topology = nullptr;
  if (hwloc_topology_init(&topology) != 0) throw RuntimeFailure("hwloc cannot be started");
  Topology owned(topology);
  if (hwloc_topology_load(topology) != 0) {
    throw RuntimeFailure("hwloc cannot read the cores of this machine: ", std::strerror(errno));
  }
  return owned;
}

// The affinity of the process: of taskset, srun or mpirun.
Bitmap allowed_cpus(hwloc_topology_t topology) {
  Bitmap allowed(hwloc_bitmap_alloc());
  if (hwloc_get_cpubind(topology, allowed.get(), HWLOC_CPUBIND_THREAD) != 0) {
    hwloc_bitmap_copy(allowed.get(), hwloc_topology_get_allowed_cpuset(topology));
  }
  return allowed;
}

std::vector<Cpus> parts(hwloc_topology_t topology, hwloc_obj_type_t type,
                        hwloc_const_bitmap_t allowed) {
  std::vector<Cpus> all;
  const int count = hwloc_get_nbobjs_by_type(topology, type);
  for (int i = 0; i < count; ++i) {
    const hwloc_obj_t object = hwloc_get_obj_by_type(topology, type, static_cast<unsigned>(i));
    Cpus cpus;
    for (int cpu = hwloc_bitmap_first(object->cpuset); cpu >= 0;
         cpu = hwloc_bitmap_next(object->cpuset, cpu)) {
      if (hwloc_bitmap_isset(allowed, static_cast<unsigned>(cpu))) cpus.push_back(cpu);
    }
    if (!cpus.empty()) all.push_back(std::move(cpus));
  }
  return all;
}

}  // namespace

bool knows_topology() { return true; }

CpuTopology read_topology() {
  const Topology topology = load_topology();
  const Bitmap allowed = allowed_cpus(topology.get());
  CpuTopology out{parts(topology.get(), HWLOC_OBJ_CORE, allowed.get()),
                  parts(topology.get(), HWLOC_OBJ_NUMANODE, allowed.get())};
  // Machines that hide their cores show hardware threads.
  if (out.cores.empty()) out.cores = parts(topology.get(), HWLOC_OBJ_PU, allowed.get());
  return out;
}

void bind_to(const Cpus& cpus) {
  const Topology topology = load_topology();
  const Bitmap set(hwloc_bitmap_alloc());
  for (const int cpu : cpus) hwloc_bitmap_set(set.get(), static_cast<unsigned>(cpu));
  if (hwloc_set_cpubind(topology.get(), set.get(), HWLOC_CPUBIND_THREAD) != 0) {
    throw RuntimeFailure("cannot bind this rank to CPUs ", cpu_list(cpus), ": ",
                         std::strerror(errno), " (--pin none leaves them to the system)");
  }
}

#else

namespace {

[[noreturn]] void refuse_without_hwloc() {
  throw ConfigError(
      "[pin] this build was made without hwloc, which knows the machine's cores: install hwloc "
      "(Debian: libhwloc-dev) and build again, or give --pin none");
}

}  // namespace

bool knows_topology() { return false; }
CpuTopology read_topology() { refuse_without_hwloc(); }
void bind_to(const Cpus&) { refuse_without_hwloc(); }

#endif

}  // namespace galvatron::comm
