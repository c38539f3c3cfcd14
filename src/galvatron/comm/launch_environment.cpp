#include <algorithm>
#include <fstream>
#include <functional>
#include <limits>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "galvatron/base/error.h"
#include "galvatron/comm/address.h"
#include "galvatron/comm/environment_variable.h"
#include "galvatron/comm/hostfile.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/node_place.h"
#include "galvatron/comm/slurm_lists.h"

namespace galvatron::comm {
namespace {

constexpr int kMpiPort = 29500;

template <typename T>
T require(const std::optional<T>& value, const char* name, const char* because) {
  if (!value) throw ConfigError("[launch] ", name, " is not set, but ", because);
  return *value;
}

std::optional<std::string> master_addr() {
  const auto text = variable_text("MASTER_ADDR");
  return text ? std::optional(read_host(*text, "MASTER_ADDR")) : std::nullopt;
}

std::optional<int> master_port() { return variable_number("MASTER_PORT", 1, kMaxPort); }

std::optional<int> rank_number(const char* name) { return variable_number(name, 0, kMaxRanks); }
std::optional<int> rank_count(const char* name) { return variable_number(name, 1, kMaxRanks); }

// A port that jobs at the same time on one machine seldom share.
int port_of_job(std::size_t job) { return static_cast<int>(20000 + job % 20000); }

// Places of ranks that contradict each other.
void check(const LaunchEnvironment& environment, const char* rank, const char* size,
           const char* local_rank, const char* local_size) {
  const auto below = [](int value, const char* name, int limit, const char* limit_name) {
    if (value < limit) return;
    throw ConfigError("[launch] ", name, "=", value, " is not below ", limit_name, "=", limit);
  };
  below(environment.rank, rank, environment.world_size, size);
  below(environment.local_rank, local_rank, environment.local_world_size, local_size);
  below(environment.local_world_size, local_size, environment.world_size + 1, size);
}

bool is_pod() { return variable_text("KUBERNETES_SERVICE_HOST") || variable_text("PET_NNODES"); }

// RANK counts pods there, and where each is to run several ranks somebody has to start them.
void refuse_unstarted_ranks(const LaunchEnvironment& environment) {
  const auto pods = variable_text("PET_NNODES");
  if (!pods || *pods == std::to_string(environment.world_size)) return;
  throw ConfigError("[launch] RANK=", environment.rank, " is one of PET_NNODES=", *pods,
                    " machines, but WORLD_SIZE=", environment.world_size,
                    " counts ranks that nobody has started: start them by galvatron train or "
                    "torchrun");
}

LaunchEnvironment from_torchrun() {
  LaunchEnvironment environment;
  environment.rank = require(rank_number("RANK"), "RANK", "WORLD_SIZE is");
  environment.world_size = require(rank_count("WORLD_SIZE"), "WORLD_SIZE", "RANK is");
  const auto local_size = rank_count("LOCAL_WORLD_SIZE"), local_rank = rank_number("LOCAL_RANK");
  environment.knows_local_rank = local_size || local_rank;
  const bool alone_here = !environment.knows_local_rank && is_pod();
  if (alone_here) refuse_unstarted_ranks(environment);
  environment.local_world_size = local_size.value_or(alone_here ? 1 : environment.world_size);
  environment.local_rank = local_rank.value_or(environment.rank % environment.local_world_size);
  environment.restart_count = rank_number("TORCHELASTIC_RESTART_COUNT").value_or(0);
  environment.purpose = variable_text(kPurposeVariable).value_or("");
  const bool ours = is_own_rank();
  environment.launcher = ours ? "galvatron" : "torchrun";
  environment.store_is_hosted = ours || variable_text("TORCHELASTIC_USE_AGENT_STORE") == "True";
  check(environment, "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE");
  if (environment.world_size > 1) {
    environment.master_addr = require(master_addr(), "MASTER_ADDR", "WORLD_SIZE is above 1");
    environment.master_port = require(master_port(), "MASTER_PORT", "WORLD_SIZE is above 1");
  }
  return environment;
}

int slurm_local_world_size(int node, int world_size) {
  for (const char* name : {"SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"}) {
    const auto list = variable_text(name);
    if (!list) continue;
    const std::vector<int> counts = slurm_counts(*list, name);
    if (node < static_cast<int>(counts.size())) return counts[node];
    throw ConfigError("[launch] SLURM_NODEID=", node, " is beyond the nodes of ", name, "=", *list);
  }
  return rank_count("SLURM_NTASKS_PER_NODE").value_or(world_size);
}

std::string slurm_master_addr(bool one_node) {
  if (const auto address = master_addr()) return *address;
  if (const auto host = slurm_first_host()) return *host;
  if (one_node) return "127.0.0.1";
  throw ConfigError(
      "[launch] neither MASTER_ADDR nor SLURM_NODELIST is set, but the ranks run on several nodes");
}

// The number at the end of "2" or "a100:2" (of sbatch), or of "gpu:per_task:2" (of srun).
int slurm_devices_per_task() {
  static const std::regex count("(?:.*:)?([1-9][0-9]{0,3})");
  for (const char* name : {"SLURM_GPUS_PER_TASK", "SLURM_TRES_BIND", "SLURMD_TRES_BIND"}) {
    const std::string text = variable_text(name).value_or("");
    std::smatch match;
    const bool is_bind = text.find("per_task") != std::string::npos;
    if ((is_bind || name == std::string("SLURM_GPUS_PER_TASK")) &&
        std::regex_match(text, match, count)) {
      return std::stoi(match[1]);
    }
  }
  return 0;
}

// A process of a batch script or of salloc, beside the tasks that srun starts, has no step.
bool is_slurm_task() { return variable_text("SLURM_STEP_ID") || variable_text("SLURM_STEPID"); }

std::optional<LaunchEnvironment> from_slurm() {
  const auto rank = rank_number("SLURM_PROCID");
  if (!rank || !is_slurm_task()) return std::nullopt;
  auto size = rank_count("SLURM_STEP_NUM_TASKS");
  if (!size) size = rank_count("SLURM_NTASKS");
  if (*rank == 0 && !size) return std::nullopt;
  LaunchEnvironment environment;
  environment.launcher = "slurm";
  environment.rank = *rank;
  environment.world_size = require(size, "SLURM_NTASKS", "SLURM_PROCID is above 0");
  const int node = rank_number("SLURM_NODEID").value_or(0);
  environment.local_world_size = slurm_local_world_size(node, environment.world_size);
  environment.local_rank =
      rank_number("SLURM_LOCALID").value_or(environment.rank % environment.local_world_size);
  check(environment, "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_TASKS_PER_NODE");
  environment.master_addr =
      slurm_master_addr(environment.local_world_size == environment.world_size);
  environment.master_port = master_port().value_or(slurm_port());
  environment.devices_per_rank = slurm_devices_per_task();
  return environment;
}

// What one kind of launcher calls the places of its ranks.
struct LauncherNames {
  const char* launcher;
  const char* rank;
  const char* size;
  const char* local_rank;
  const char* local_size;
  const char* job;  // what tells two jobs on one machine apart
};
constexpr LauncherNames kOpenMpi{"mpi",
                                 "OMPI_COMM_WORLD_RANK",
                                 "OMPI_COMM_WORLD_SIZE",
                                 "OMPI_COMM_WORLD_LOCAL_RANK",
                                 "OMPI_COMM_WORLD_LOCAL_SIZE",
                                 "PMIX_NAMESPACE"};
constexpr LauncherNames kHydra{
    "mpi", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", "PMIX_NAMESPACE"};
// jsrun of LSF, aprun's successor of PBS on Cray machines, Flux, MVAPICH and Horovod.
constexpr LauncherNames kOthers[] = {
    {"jsrun", "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_LOCAL_RANK",
     "JSM_NAMESPACE_LOCAL_SIZE", "LSB_JOBID"},
    {"pals", "PALS_RANKID", "PALS_SIZE", "PALS_LOCAL_RANKID", "PALS_LOCAL_SIZE", "PALS_APID"},
    {"flux", "FLUX_TASK_RANK", "FLUX_JOB_SIZE", "FLUX_TASK_LOCAL_ID", "", "FLUX_JOB_ID"},
    {"mvapich", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK",
     "MV2_COMM_WORLD_LOCAL_SIZE", "PBS_JOBID"},
    {"mvapich", "MVP_COMM_WORLD_RANK", "MVP_COMM_WORLD_SIZE", "MVP_COMM_WORLD_LOCAL_RANK",
     "MVP_COMM_WORLD_LOCAL_SIZE", "PBS_JOBID"},
    {"horovod", "HOROVOD_RANK", "HOROVOD_SIZE", "HOROVOD_LOCAL_RANK", "HOROVOD_LOCAL_SIZE", ""}};

int mpi_port(const LauncherNames& names) {
  const auto job = variable_text(names.job);
  return job ? port_of_job(std::hash<std::string>{}(*job)) : kMpiPort;
}

// Ranks on this machine, where it is said: Flux counts the machines only.
int local_size_of(const LauncherNames& names, int world_size) {
  if (const auto count = *names.local_size ? rank_count(names.local_size) : std::nullopt)
    return *count;
  const int nodes = rank_count("FLUX_JOB_NNODES").value_or(1);
  return names.launcher == std::string("flux") ? (world_size + nodes - 1) / nodes : world_size;
}

// First words of the lines of a scheduler's file, each once, in their order.
std::vector<std::string> hosts_in(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> hosts;
  for (std::string line; std::getline(file, line);) {
    std::string host;
    std::istringstream(line) >> host;
    if (!host.empty() && std::find(hosts.begin(), hosts.end(), host) == hosts.end())
      hosts.push_back(host);
  }
  return hosts;
}

// The first machine of the job, as schedulers list it. Of LSF's jsrun it is one without ranks.
std::optional<std::string> first_scheduled_host(const LauncherNames& names) {
  if (names.launcher == std::string("jsrun")) return std::nullopt;
  for (const char* name : {"PBS_NODEFILE", "COBALT_NODEFILE", "LSB_DJOB_RANKFILE", "PE_HOSTFILE"}) {
    const auto file = variable_text(name);
    const std::vector<std::string> hosts = file ? hosts_in(*file) : std::vector<std::string>();
    if (!hosts.empty()) return read_host(hosts.front(), name);
  }
  return slurm_first_host();
}

// PALS itself says how many ranks a machine has, and its PMI how many there are.
std::optional<int> size_of(const LauncherNames& names) {
  if (const auto size = rank_count(names.size)) return size;
  if (names.launcher != std::string("pals") || !variable_text(names.rank)) return std::nullopt;
  if (const auto size = rank_count(kHydra.size)) return size;
  const auto here = rank_count(names.local_size);
  const auto file = variable_text("PBS_NODEFILE");
  const std::size_t nodes = file ? hosts_in(*file).size() : 0;
  return here && nodes > 0 ? std::optional(*here * static_cast<int>(nodes)) : std::nullopt;
}

std::optional<LaunchEnvironment> from_mpi(const LauncherNames& names) {
  const auto rank = rank_number(names.rank);
  const auto size = size_of(names);
  if (!rank && !size) return std::nullopt;
  LaunchEnvironment environment;
  environment.launcher = names.launcher;
  environment.rank = require(rank, names.rank, detail::concat(names.size, " is").c_str());
  environment.world_size = require(size, names.size, detail::concat(names.rank, " is").c_str());
  environment.local_world_size = local_size_of(names, environment.world_size);
  environment.local_rank =
      rank_number(names.local_rank).value_or(environment.rank % environment.local_world_size);
  check(environment, names.rank, names.size, names.local_rank, names.local_size);
  auto address = master_addr();
  const bool one_node = environment.local_world_size == environment.world_size;
  if (!address && !one_node) address = first_scheduled_host(names);
  if (!address && !one_node) {
    throw ConfigError("[launch] MASTER_ADDR is not set, but the ranks of ", names.launcher,
                      " run on several nodes: pass the name of rank 0's (mpirun -x "
                      "MASTER_ADDR=...)");
  }
  environment.master_addr = address.value_or("127.0.0.1");
  environment.master_port = master_port().value_or(mpi_port(names));
  return environment;
}

// What mpirun sets is nearer to the process than Slurm, which mpirun asks to start its daemons on
// other nodes. srun sets PMI_RANK too, but no place on the node.
std::optional<LaunchEnvironment> from_mpirun() {
  if (const auto mpi = from_mpi(kOpenMpi)) return mpi;
  if (variable_text(kHydra.local_rank)) return from_mpi(kHydra);
  for (const LauncherNames& names : kOthers) {
    if (variable_text(names.rank)) return from_mpi(names);
  }
  return std::nullopt;
}

// PMIx alone says which rank this is, and not how many there are.
void refuse_rank_without_size() {
  const auto rank = variable_text("PMIX_RANK");
  if (!rank || is_slurm_task()) return;
  throw ConfigError("[launch] PMIX_RANK=", *rank,
                    " is set, but nothing says how many ranks there are: start them by mpirun or "
                    "srun, or set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT");
}

}  // namespace

int slurm_port() {
  constexpr std::size_t kBetweenSteps = 7919;  // jobs that follow each other have other ports
  const int job = variable_number("SLURM_JOB_ID", 0, std::numeric_limits<int>::max()).value_or(0);
  const int step = rank_number("SLURM_STEP_ID").value_or(0);
  return port_of_job(static_cast<std::size_t>(job) + kBetweenSteps * step);
}

std::optional<std::string> slurm_first_host() {
  // Rank 0 is then where the user's list begins, while Slurm's is sorted.
  const auto distribution = variable_text("SLURM_DISTRIBUTION");
  if (distribution && distribution->starts_with("arbitrary")) {
    const auto list = variable_text("SLURM_HOSTFILE");
    if (list) return read_hostfile(*list).front().name;
    throw ConfigError(
        "[launch] SLURM_DISTRIBUTION=arbitrary, and SLURM_HOSTFILE is not set: set MASTER_ADDR to "
        "the host of task 0");
  }
  for (const char* name : {"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"}) {
    if (const auto list = variable_text(name)) return first_slurm_host(*list, name);
  }
  return std::nullopt;
}

bool is_own_rank() { return variable_text("GALVATRON_LAUNCHER") == "galvatron"; }

LaunchEnvironment read_launch_environment() {
  if (variable_text("RANK") || variable_text("WORLD_SIZE")) return from_torchrun();
  if (const auto mpi = from_mpirun()) return *mpi;
  if (const auto slurm = from_slurm()) return *slurm;
  if (const auto mpi = from_mpi(kHydra)) return *mpi;
  refuse_rank_without_size();
  return {};
}

bool is_rank_process() {
  const LaunchEnvironment environment = read_launch_environment();
  return environment.world_size > 1 || environment.launcher == "galvatron";
}

int device_of_rank(const LaunchEnvironment& environment, int num_visible) {
  const bool is_masked =
      variable_text("CUDA_VISIBLE_DEVICES") && environment.launcher != "galvatron";
  const int own = std::max(1, environment.devices_per_rank);
  return is_masked && num_visible == own ? 0 : environment.local_rank;
}

std::string unused_tasks_note() {
  const auto tasks = rank_count("SLURM_NTASKS");
  if (!tasks || *tasks == 1 || is_slurm_task()) return "";
  return detail::concat("Slurm gives this job ", *tasks,
                        " tasks, but srun starts them: this is one rank alone (--nproc starts "
                        "more of them here)");
}

}  // namespace galvatron::comm
