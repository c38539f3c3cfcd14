// Lists of machines that a user can reach by ssh.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace galvatron::comm {

struct Host {
  std::string name;          // as ssh takes it: "n1", "user@10.0.0.4"
  std::optional<int> slots;  // ranks that it may run; nullopt: not said
};

// Text of a host file: "n1 slots=8" (Open MPI, DeepSpeed), "n1:8" (MPICH) or "n1" alone in each
// line; "#" begins a comment. A host that stands in several lines (PBS, LSF) has the slots of all
// of them. ConfigError with `source` and line for anything else, and where there is no host.
std::vector<Host> parse_hostfile(const std::string& text, const std::string& source);
std::vector<Host> read_hostfile(const std::string& path);

// Ranks of each host: `nproc` where it is given, else its slots, else one. ConfigError where a host
// has fewer slots than `nproc`.
std::vector<int> ranks_of_hosts(const std::vector<Host>& hosts, std::optional<int> nproc);

}  // namespace galvatron::comm
