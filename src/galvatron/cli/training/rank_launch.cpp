#include "galvatron/cli/training/rank_launch.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <sstream>

#include "galvatron/base/error.h"
#include "galvatron/comm/environment_variable.h"
#include "galvatron/comm/host_launch.h"

namespace galvatron::cli {
namespace {

std::string own_binary() { return std::filesystem::read_symlink("/proc/self/exe"); }

// --nproc beside ranks that another launcher has started.
void refuse_other_ranks(const RankOptions& options, const comm::LaunchEnvironment& environment) {
  const int nproc = options.nproc.value_or(1);
  const bool may_be_machines = !environment.knows_local_rank;
  if (nproc == 1 || (nproc == environment.world_size && !may_be_machines)) return;
  const std::string counts = may_be_machines
                                 ? detail::concat(" (WORLD_SIZE=", environment.world_size,
                                                  ", RANK=", environment.rank, ")")
                                 : "";
  throw ConfigError("--nproc ", nproc, ", but ", environment.launcher, " started ",
                    environment.world_size, " ranks", counts,
                    "; leave --nproc away under another launcher, or, where it starts one process "
                    "on each machine, add --nnodes ",
                    environment.world_size);
}

RankLaunch launch_on_hosts_of(const RankOptions& options) {
  if (options.nnodes || options.node_rank) {
    throw ConfigError(
        "--hostfile says which machines there are: leave --nnodes and --node-rank "
        "away");
  }
  const comm::LaunchEnvironment environment = comm::read_launch_environment();
  if (environment.world_size > 1) {
    throw ConfigError("--hostfile starts the ranks, but ", environment.launcher, " has started ",
                      environment.world_size, " already: leave one of the two away");
  }
  RankLaunch launch;
  launch.hosts = comm::read_hostfile(options.hostfile);
  launch.ranks_of_hosts = comm::ranks_of_hosts(launch.hosts, options.nproc);
  const std::vector<int>& ranks = launch.ranks_of_hosts;
  launch.world_size = std::accumulate(ranks.begin(), ranks.end(), 0);
  launch.ranks_per_node = *std::max_element(ranks.begin(), ranks.end());
  return launch;
}

RankLaunch launch_from(const comm::NodePlace& place) {
  RankLaunch launch;
  launch.place = place;
  launch.world_size = place.nnodes * place.nproc;
  launch.ranks_per_node = place.nproc;
  return launch;
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

comm::LaunchEnd start_on_hosts(const RankLaunch& launch, const RankOptions& options,
                               const std::vector<std::string>& arguments) {
  comm::HostLaunch hosts;
  hosts.hosts = launch.hosts;
  hosts.ranks = launch.ranks_of_hosts;
  hosts.ssh = words_of(options.ssh);
  if (hosts.ssh.empty()) throw ConfigError("--ssh is empty: give the command, such as ssh");
  hosts.master_addr = options.master_addr;
  hosts.master_port = options.master_port;
  hosts.binary = own_binary();
  hosts.version = GALVATRON_VERSION;
  hosts.arguments = arguments;
  return comm::launch_on_hosts(hosts);
}

}  // namespace

void add_rank_options(OptionList& list, RankOptions& options, int most_ranks) {
  constexpr int kMostNodes = 100'000;
  list.count("nproc", options.nproc, {1, most_ranks},
             "Ranks to start on this machine. Under torchrun, srun or mpirun their ranks are used "
             "instead")
      .shows_default("1");
  list.count("nnodes", options.nnodes, {1, kMostNodes},
             "Machines on each of which this command runs, with --nproc ranks");
  list.count("node-rank", options.node_rank, {0, kMostNodes - 1},
             "Which of the --nnodes machines this is; default: what Kubernetes or Slurm says");
  list.text("master-addr", options.master_addr, "Name or address of the first machine", "HOST");
  list.count("master-port", options.master_port, {0, comm::kMaxPort},
             "Port of the ranks' store; 0: any free one, with --nnodes 29500");
  list.path("hostfile", options.hostfile,
            "Machines to start ranks on by ssh: 'NAME slots=N' in each line");
  list.text("ssh", options.ssh, "How --hostfile reaches them: ssh with its options", "COMMAND");
}

RankLaunch plan_launch(const RankOptions& options) {
  if (!comm::is_own_rank()) {
    if (!options.hostfile.empty()) return launch_on_hosts_of(options);
    const comm::NodeRequest request{options.nproc, options.nnodes, options.node_rank,
                                    options.master_addr, options.master_port};
    if (const auto place = comm::read_node_place(request)) return launch_from(*place);
  }
  RankLaunch launch;
  launch.environment = comm::read_launch_environment();
  launch.is_rank = comm::is_rank_process();
  if (launch.is_rank) {
    if (!comm::is_own_rank()) refuse_other_ranks(options, launch.environment);
    launch.world_size = launch.environment.world_size;
    launch.ranks_per_node = launch.environment.local_world_size;
    return launch;
  }
  return launch_here(options.nproc.value_or(1), options.master_port);
}

RankLaunch launch_here(int nproc, int master_port) {
  RankLaunch launch;
  launch.place.nproc = launch.world_size = launch.ranks_per_node = nproc;
  launch.place.master_port = master_port;
  return launch;
}

comm::LaunchEnd start_ranks(const RankLaunch& launch, const RankOptions& options,
                            const std::vector<std::string>& arguments) {
  if (!launch.hosts.empty()) return start_on_hosts(launch, options, arguments);
  const comm::NodePlace& place = launch.place;
  comm::LocalLaunch local;
  local.nproc = place.nproc;
  local.master_port = place.master_port;
  local.first_rank = place.node_rank * place.nproc;
  local.world_size = launch.world_size;
  local.master_addr = place.master_addr;
  local.command = {own_binary()};
  local.command.insert(local.command.end(), arguments.begin(), arguments.end());
  return comm::launch_local_ranks(local);
}

}  // namespace galvatron::cli
