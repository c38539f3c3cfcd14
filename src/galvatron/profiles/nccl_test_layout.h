// Where the ranks of a run of nccl-tests were: how many, on how many nodes, in which groups.
#pragma once
#include <optional>
#include <string>

#include "galvatron/profiles/hardware_profile.h"
#include "galvatron/profiles/nccl_tests.h"

namespace galvatron::profiles {

// Ours of an operation of nccl-tests; nullopt for those that no plan uses (broadcast, reduce, ...).
std::optional<Collective> collective_of(const std::string& operation);

struct NcclTestLayout {
  int num_ranks = 0;
  int ranks_per_node = 0;  // 0: the output does not say it
  GroupShape group;        // stride among the ranks of the run, node by node
  int num_groups = 1;      // at work at once
  std::string host;        // of the first rank
  std::string device;      // "" where it is not said

  int num_nodes() const { return ranks_per_node > 0 ? num_ranks / ranks_per_node : 0; }
};

// ConfigError for ranks that were alone, lists with holes, nodes of unequal size, groups that are
// no shape of ours, devices of several kinds, and numbers that are of another number of ranks.
NcclTestLayout nccl_test_layout(const NcclTestRun& run);

}  // namespace galvatron::profiles
