// How ranks come to life and find each other: torchrun, Slurm, mpirun, or our own --nproc.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/comm/world.h"

namespace galvatron::comm {

// What the environment says about this process.
struct LaunchEnvironment {
  int rank = 0;
  int world_size = 1;
  int local_rank = 0;
  int local_world_size = 1;
  std::string master_addr = "127.0.0.1";
  int master_port = 0;
  bool store_is_hosted = false;  // somebody else (our launcher, the torchrun agent) serves the store at master_addr:port
  std::string launcher;          // "torchrun", "slurm", "mpi", "galvatron", "" for a lone process
};

// RANK/WORLD_SIZE/LOCAL_RANK/MASTER_* (torchrun and our launcher), then SLURM_*, then OMPI_*/PMI_*. ConfigError for a
// half-set or contradictory environment, naming the variable. A lone process when none is set.
LaunchEnvironment read_launch_environment();

// Joins the other ranks. ConfigError "port N is in use ..." when this rank must serve the store and cannot.
World connect(const LaunchEnvironment& environment, const WorldOptions& options);

// True in a process that some launcher started as one of several ranks.
bool is_rank_process();

struct LocalLaunch {
  int nproc = 1;
  int master_port = 0;             // 0: any free one
  std::vector<std::string> command;  // argv of each rank; argv[0] is the binary
};

// Starts `nproc` copies of the command on this machine by fork + exec with the rank variables set, serves their store,
// passes rank 0's output through and waits. When a rank fails or is killed the others are ended within seconds and one
// sentence says which rank, how it ended, and the first line of what it said last. Returns the exit code to pass on:
// 0, or that of the first rank to fail (1 for a signal). SIGINT and SIGTERM are passed on to the ranks.
int launch_local_ranks(const LocalLaunch& launch);

}  // namespace galvatron::comm
