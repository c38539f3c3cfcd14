// The ranks of a job on several machines that ssh reaches.
#pragma once
#include <string>
#include <vector>

#include "galvatron/comm/hostfile.h"
#include "galvatron/comm/launch.h"

namespace galvatron::comm {

struct HostLaunch {
  std::vector<Host> hosts;
  std::vector<int> ranks;               // of each host, in the order of the hosts
  std::vector<std::string> ssh{"ssh"};  // words of the command, without the host
  std::string master_addr;              // of the first host; "": as ssh knows it
  int master_port = 0;                  // 0: one that is free there
  std::string binary;                   // its path, the same on all hosts
  std::string version;                  // its own
  std::vector<std::string> arguments;   // of each rank
};

// Starts `binary` on every host by ssh, in the folder that we are in; what it writes is passed on
// line by line behind "HOST: ", the first host's standard output as it is. SIGINT, SIGTERM and
// SIGUSR1 are passed on to all ranks. When a host fails or is lost the others are ended, and one
// sentence says which it was and what it said last; they end by themselves where this process is
// killed. No rank is named as the cause. ConfigError where other hosts cannot reach the first by
// its name.
LaunchEnd launch_on_hosts(const HostLaunch& launch);

}  // namespace galvatron::comm
