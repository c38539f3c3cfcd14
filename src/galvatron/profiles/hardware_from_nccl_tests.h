// A hardware profile from outputs of nccl-tests: for planning on a cluster whose links somebody
// measured, without running anything there.
#pragma once
#include <string>
#include <vector>

#include "galvatron/profiles/hardware_profile.h"
#include "galvatron/profiles/nccl_tests.h"

namespace galvatron::profiles {

struct NcclTestsOptions {
  // Named device whose data sheet says what nccl-tests do not measure: memory, reserve, overlap,
  // optimizer. "": the one that the outputs name.
  std::string data_sheet;
  // Devices of a node; 0: as many as the outputs list on a host.
  int devices_per_node = 0;
};

// Curves of each collective and group shape that was measured; `bytes` as hardware_profile.h has
// them, which is what nccl-tests call size.
//   ranks on one node                       {ranks, stride 1}
//   all ranks of several nodes              {ranks, stride 1}
//   k ranks on each of several nodes of n   {ranks, stride n / k}
//   groups of NCCL_TESTS_SPLIT              their size and stride
//   sendrecv                                {2, stride 1}, across nodes {2, stride n}
// Several measurements of a size: their median; what took longer than a larger message is left
// out. On several nodes links are made of the curves, for the shapes that were not measured; on
// one node the curves of collectives that were not measured. `extrapolated` names all of that.
// ConfigError for outputs of different machines, that contradict each other or themselves, of
// one rank, of ranks without hosts, of unequal nodes, and for an unknown device.
HardwareProfile hardware_from_nccl_tests(const std::vector<NcclTestRun>& runs,
                                         const NcclTestsOptions& options);

// A line for each curve: ranks, stride, sizes, time and bus bandwidth of the largest.
std::string measured_curves_table(const HardwareProfile& profile);

}  // namespace galvatron::profiles
