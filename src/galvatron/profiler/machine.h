// What this machine and this process are: recorded beside the numbers, and the few of them that
// are numbers of the profile themselves.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include <c10/core/Device.h>

#include "galvatron/base/units.h"
#include "galvatron/profiles/provenance.h"

namespace galvatron::profiler {

// Host name, date, versions, cores; `note` says how it was measured.
profiles::Provenance measured_here(std::int64_t seed, const std::string& note);

// Processors that other programs keep busy while we measure.
class LoadOfOthers {
 public:
  LoadOfOthers();  // from now on
  // Processor time of this process since then.
  double own_seconds() const;
  // `ours`: own_seconds() of all our processes on this machine. nullopt where the system does not
  // count.
  std::optional<double> cores(double ours) const;

 private:
  double started_at_;
  std::optional<double> busy_then_;
  double own_then_;
};

// "cpu: Intel(R) Xeon(R) ...", "NVIDIA H100 80GB HBM3".
std::string device_name(c10::Device device);

// Processors that this process may run on.
int available_cores();

// Threads of a rank when `local_ranks` of them share the machine's cores: an equal share, at least
// one.
int threads_per_rank(int local_ranks);

// Memory of one rank's device: a GPU's, or an equal share of what this machine (or its container)
// allows. 0 where unknown.
Bytes device_memory(c10::Device device, int local_ranks);

// What this rank takes on its device beside tensors: on the CPU the process's private pages less
// the tensors that the memory meter counts, on a GPU what is neither free nor the allocator's.
Bytes memory_beside_tensors(c10::Device device);

}  // namespace galvatron::profiler
