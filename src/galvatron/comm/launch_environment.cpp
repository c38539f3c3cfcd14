#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>

#include "galvatron/base/error.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/slurm_lists.h"

namespace galvatron::comm {
namespace {

constexpr int kMaxRanks = 1'000'000;
constexpr int kMpiPort = 29500;

std::optional<std::string> text(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value) return std::nullopt;
  return value;
}

std::optional<int> number(const char* name, int min, int max) {
  const std::optional<std::string> value = text(name);
  if (!value) return std::nullopt;
  int result = 0;
  const char* end = value->data() + value->size();
  const auto [stop, error] = std::from_chars(value->data(), end, result);
  if (error != std::errc() || stop != end || result < min || result > max) {
    throw ConfigError("[launch] ", name, "='", *value, "' is no whole number from ", min, " to ",
                      max);
  }
  return result;
}

template <typename T>
T require(const std::optional<T>& value, const char* name, const char* because) {
  if (!value) throw ConfigError("[launch] ", name, " is not set, but ", because);
  return *value;
}

std::optional<int> master_port() { return number("MASTER_PORT", 1, 65535); }

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

LaunchEnvironment from_torchrun() {
  LaunchEnvironment environment;
  environment.rank = require(number("RANK", 0, kMaxRanks), "RANK", "WORLD_SIZE is");
  environment.world_size = require(number("WORLD_SIZE", 1, kMaxRanks), "WORLD_SIZE", "RANK is");
  environment.local_world_size =
      number("LOCAL_WORLD_SIZE", 1, kMaxRanks).value_or(environment.world_size);
  environment.local_rank =
      number("LOCAL_RANK", 0, kMaxRanks).value_or(environment.rank % environment.local_world_size);
  environment.restart_count = number("TORCHELASTIC_RESTART_COUNT", 0, kMaxRanks).value_or(0);
  environment.purpose = text(kPurposeVariable).value_or("");
  const bool ours = text("GALVATRON_LAUNCHER") == "galvatron";
  environment.launcher = ours ? "galvatron" : "torchrun";
  environment.store_is_hosted = ours || text("TORCHELASTIC_USE_AGENT_STORE") == "True";
  check(environment, "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE");
  if (environment.world_size > 1) {
    environment.master_addr = require(text("MASTER_ADDR"), "MASTER_ADDR", "WORLD_SIZE is above 1");
    environment.master_port = require(master_port(), "MASTER_PORT", "WORLD_SIZE is above 1");
  }
  return environment;
}

int slurm_local_world_size(int node, int world_size) {
  for (const char* name : {"SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"}) {
    const auto list = text(name);
    if (!list) continue;
    const std::vector<int> counts = slurm_counts(*list, name);
    if (node < static_cast<int>(counts.size())) return counts[node];
    throw ConfigError("[launch] SLURM_NODEID=", node, " is beyond the nodes of ", name, "=", *list);
  }
  return number("SLURM_NTASKS_PER_NODE", 1, kMaxRanks).value_or(world_size);
}

std::string slurm_master_addr(bool one_node) {
  if (const auto address = text("MASTER_ADDR")) return *address;
  for (const char* name : {"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"}) {
    if (const auto list = text(name)) return first_slurm_host(*list, name);
  }
  if (one_node) return "127.0.0.1";
  throw ConfigError(
      "[launch] neither MASTER_ADDR nor SLURM_NODELIST is set, but the ranks run on several nodes");
}

// A batch script outside srun has SLURM_PROCID=0 and, without --ntasks, no count: a lone process.
std::optional<LaunchEnvironment> from_slurm() {
  const auto rank = number("SLURM_PROCID", 0, kMaxRanks);
  auto size = number("SLURM_STEP_NUM_TASKS", 1, kMaxRanks);
  if (!size) size = number("SLURM_NTASKS", 1, kMaxRanks);
  if (!rank || (*rank == 0 && !size)) return std::nullopt;
  LaunchEnvironment environment;
  environment.launcher = "slurm";
  environment.rank = *rank;
  environment.world_size = require(size, "SLURM_NTASKS", "SLURM_PROCID is above 0");
  const int node = number("SLURM_NODEID", 0, kMaxRanks).value_or(0);
  environment.local_world_size = slurm_local_world_size(node, environment.world_size);
  environment.local_rank = number("SLURM_LOCALID", 0, kMaxRanks)
                               .value_or(environment.rank % environment.local_world_size);
  check(environment, "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_TASKS_PER_NODE");
  environment.master_addr =
      slurm_master_addr(environment.local_world_size == environment.world_size);
  const int job = number("SLURM_JOB_ID", 0, std::numeric_limits<int>::max()).value_or(0);
  environment.master_port = master_port().value_or(20000 + job % 20000);
  return environment;
}

struct MpiNames {
  const char* rank;
  const char* size;
  const char* local_rank;
  const char* local_size;
};

std::optional<LaunchEnvironment> from_mpi(const MpiNames& names) {
  const auto rank = number(names.rank, 0, kMaxRanks);
  const auto size = number(names.size, 1, kMaxRanks);
  if (!rank && !size) return std::nullopt;
  LaunchEnvironment environment;
  environment.launcher = "mpi";
  environment.rank = require(rank, names.rank, "the number of MPI ranks is");
  environment.world_size = require(size, names.size, "the MPI rank is");
  environment.local_world_size =
      number(names.local_size, 1, kMaxRanks).value_or(environment.world_size);
  environment.local_rank = number(names.local_rank, 0, kMaxRanks)
                               .value_or(environment.rank % environment.local_world_size);
  check(environment, names.rank, names.size, names.local_rank, names.local_size);
  const auto address = text("MASTER_ADDR");
  if (!address && environment.local_world_size != environment.world_size) {
    throw ConfigError(
        "[launch] MASTER_ADDR is not set, but the MPI ranks run on several nodes: pass the name of "
        "rank 0's "
        "(mpirun -x MASTER_ADDR=...)");
  }
  environment.master_addr = address.value_or("127.0.0.1");
  environment.master_port = master_port().value_or(kMpiPort);
  return environment;
}

}  // namespace

LaunchEnvironment read_launch_environment() {
  if (text("RANK") || text("WORLD_SIZE")) return from_torchrun();
  if (const auto slurm = from_slurm()) return *slurm;
  constexpr MpiNames kOpenMpi{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                              "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"};
  constexpr MpiNames kHydra{"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"};
  if (const auto mpi = from_mpi(kOpenMpi)) return *mpi;
  if (const auto mpi = from_mpi(kHydra)) return *mpi;
  return {};
}

bool is_rank_process() {
  const LaunchEnvironment environment = read_launch_environment();
  return environment.world_size > 1 || environment.launcher == "galvatron";
}

}  // namespace galvatron::comm
