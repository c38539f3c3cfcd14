// Which cores each of the ranks of a machine computes on.
#pragma once
#include <string>
#include <vector>

#include "galvatron/base/enum_names.h"
#include "galvatron/comm/cpu_topology.h"

namespace galvatron::comm {

// kAuto: NUMA nodes where the machine has several, else nothing.
enum class PinMode { kAuto, kNone, kNuma, kCore };

constexpr EnumNames<4> names_of(PinMode) { return {"pin", {"auto", "none", "numa", "core"}}; }

struct Pin {
  Cpus cpus;          // empty: any
  int threads = 1;    // one for each core, shared among the ranks that have the same
  std::string place;  // "1 of 2 NUMA nodes", "4 of 8 cores"; "" for any
};

// Of rank `index` among `num_ranks` that may use all of `topology`: blocks of neighbours in the
// order of the ranks. More ranks than parts share them.
Pin pin_of(PinMode mode, const CpuTopology& topology, int index, int num_ranks);

// This machine and the CPUs that this thread may use, as one text: ranks with the same one divide
// the CPUs among themselves.
std::string own_cpus();

// Of the ranks that have the same text as `rank`: how many come before it, and how many there are.
struct Sharing {
  int index = 0;
  int num_ranks = 1;
};
Sharing sharing_of(const std::vector<std::string>& texts, int rank);

// Our launcher sets this beside an $OMP_NUM_THREADS of its own, which is nobody's wish.
inline constexpr const char* kThreadsVariable = "GALVATRON_SET_THREADS";
bool user_sets_threads();
// Neither the user nor the launcher: of a rank of srun or mpirun.
bool nobody_sets_threads();

}  // namespace galvatron::comm
