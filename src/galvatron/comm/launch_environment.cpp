#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <regex>
#include <string>

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

struct MpiNames {
  const char* rank;
  const char* size;
  const char* local_rank;
  const char* local_size;
};
constexpr MpiNames kOpenMpi{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                            "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"};
constexpr MpiNames kHydra{"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"};

// Two jobs on one machine differ in their name spaces.
int mpi_port() {
  const auto job = variable_text("PMIX_NAMESPACE");
  return job ? port_of_job(std::hash<std::string>{}(*job)) : kMpiPort;
}

std::optional<LaunchEnvironment> from_mpi(const MpiNames& names) {
  const auto rank = rank_number(names.rank);
  const auto size = rank_count(names.size);
  if (!rank && !size) return std::nullopt;
  LaunchEnvironment environment;
  environment.launcher = "mpi";
  environment.rank = require(rank, names.rank, "the number of MPI ranks is");
  environment.world_size = require(size, names.size, "the MPI rank is");
  environment.local_world_size = rank_count(names.local_size).value_or(environment.world_size);
  environment.local_rank =
      rank_number(names.local_rank).value_or(environment.rank % environment.local_world_size);
  check(environment, names.rank, names.size, names.local_rank, names.local_size);
  const auto address = master_addr();
  if (!address && environment.local_world_size != environment.world_size) {
    throw ConfigError(
        "[launch] MASTER_ADDR is not set, but the MPI ranks run on several nodes: pass the name of "
        "rank 0's "
        "(mpirun -x MASTER_ADDR=...)");
  }
  environment.master_addr = address.value_or("127.0.0.1");
  environment.master_port = master_port().value_or(mpi_port());
  return environment;
}

// What mpirun sets is nearer to the process than Slurm, which mpirun asks to start its daemons on
// other nodes. srun sets PMI_RANK too, but no place on the node.
std::optional<LaunchEnvironment> from_mpirun() {
  if (const auto mpi = from_mpi(kOpenMpi)) return mpi;
  return variable_text(kHydra.local_rank) ? from_mpi(kHydra) : std::nullopt;
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
