// Who starts the ranks of a command: another launcher before it, or this process, here, as one of
// several machines, or on the hosts of a file.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/option.h"
#include "galvatron/comm/hostfile.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/node_place.h"

namespace galvatron::cli {

struct RankOptions {
  std::optional<int> nproc, nnodes, node_rank;
  std::string master_addr;
  int master_port = 0;
  std::string hostfile;
  std::string ssh = "ssh";
};

// Under the heading that the list is at.
void add_rank_options(OptionList& list, RankOptions& options, int most_ranks);

// What options and environment come to.
struct RankLaunch {
  comm::LaunchEnvironment environment;  // of a rank
  bool is_rank = false;                 // another process has started it as one of several
  int world_size = 1;
  int ranks_per_node = 1;  // the most of any
  comm::NodePlace place;   // of the ranks that start here
  std::vector<comm::Host> hosts;
  std::vector<int> ranks_of_hosts;

  bool starts_ranks() const { return !is_rank && (world_size > 1 || !hosts.empty()); }
  bool is_one_machine() const { return place.nnodes == 1 && hosts.empty(); }
};

// ConfigError where they contradict each other, with the way out.
RankLaunch plan_launch(const RankOptions& options);

// Of `nproc` ranks on this machine alone.
RankLaunch launch_here(int nproc, int master_port = 0);

// Starts this binary with `arguments` once for each rank and waits. REQUIRES: !launch.is_rank.
comm::LaunchEnd start_ranks(const RankLaunch& launch, const RankOptions& options,
                            const std::vector<std::string>& arguments);

}  // namespace galvatron::cli
