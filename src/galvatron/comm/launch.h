// How ranks come to life and find each other: torchrun, Slurm, mpirun, or our own --nproc.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/comm/world.h"

namespace galvatron::comm {

// First thing in main, before any thread: settings that torch reads from the environment once, and
// a terminate handler that turns an uncatchable failure of a communication thread into one sentence
// and exit code 70.
void prepare_process();

// What the environment says about this process.
struct LaunchEnvironment {
  int rank = 0;
  int world_size = 1;
  int local_rank = 0;
  int local_world_size = 1;
  bool knows_local_rank = true;  // false: nothing says it, and RANK may count machines
  int devices_per_rank = 0;      // that the scheduler gives each rank; 0: not said
  std::string master_addr = "127.0.0.1";
  int master_port = 0;
  bool store_is_hosted = false;  // somebody else (our launcher, the torchrun agent) serves the
                                 // store at master_addr:port
  std::string launcher;          // "torchrun", "slurm", "mpi", "galvatron", "" for a lone process
  int restart_count = 0;         // how often the torchrun agent has started these ranks anew
  // What processes that ranks start beside themselves do together ($GALVATRON_RANKS_FOR), so that
  // they do not meet the ranks in a hosted store; "" for the ranks.
  std::string purpose;
};
inline constexpr const char* kPurposeVariable = "GALVATRON_RANKS_FOR";

// RANK/WORLD_SIZE/LOCAL_RANK/MASTER_* (torchrun, our launcher, Kubernetes), then OMPI_*/MPI_*
// (mpirun), then SLURM_* of a step (srun), then PMI_*. ConfigError for a half-set or contradictory
// environment, naming the variable. A lone process when none is set, and in a batch script.
LaunchEnvironment read_launch_environment();

// Joins the other ranks. ConfigError "port N is in use ..." when this rank must serve the store and
// cannot, or when a CUDA device is asked for where there is none; RuntimeFailure naming the ranks
// that did not come in time. A CUDA device without an index becomes the one of this rank's
// local_rank, and its groups are NCCL's.
World connect(const LaunchEnvironment& environment, const WorldOptions& options);

// What rank 0 says, before any rank connects: others wait for it up to `patience`, while rank 0
// works. Each `key` once. RuntimeFailure where it does not come. REQUIRES:
// environment.store_is_hosted.
std::string share_text(const LaunchEnvironment& environment, const std::string& key,
                       const std::string& text, std::chrono::milliseconds patience);

// True in a process that some launcher started as one of several ranks, or that our own launcher
// started.
bool is_rank_process();
// The latter alone.
bool is_own_rank();

// Which of `num_visible` CUDA devices a rank takes: that of its local_rank, or the first where a
// scheduler shows every rank devices of its own.
int device_of_rank(const LaunchEnvironment& environment, int num_visible);

// What a lone process in a Slurm job of several tasks should know; "" elsewhere.
std::string unused_tasks_note();

// Of this machine.
std::string host_name();

struct LocalLaunch {
  int nproc = 1;
  int master_port = 0;               // 0: any free one
  std::vector<std::string> command;  // argv of each rank; argv[0] is the binary
  // One machine of several: its first rank, and all there are (0: those of this machine). The
  // machine of rank 0 serves the store.
  int first_rank = 0;
  int world_size = 0;
  std::string master_addr = "127.0.0.1";  // of the machine of rank 0
  // From which lines of signals to pass on come (host_job.h); its end stops the ranks. -1: none.
  int control = -1;
};

struct LaunchEnd {
  // To pass on: 0, kExitResumable (stop_signals.h) when the ranks were stopped and left a
  // checkpoint, or that of the rank that failed (1 for a signal, 128 + n when signal n asked us to
  // stop).
  int code = 0;
  int cause = -1;            // the rank that failed, as far as we know
  bool was_stopped = false;  // by a signal to us
  bool was_idle = false;     // then, and no rank had come so far that it could have saved
};

// Starts `nproc` copies of the command on this machine by fork + exec with the rank variables set,
// serves their store, passes rank 0's output through and waits. When a rank fails or is killed the
// others are ended within seconds and one sentence says which rank, how it ended, and the last line
// that it said. SIGINT, SIGTERM and SIGUSR1 are passed on to the ranks, which may take as long as
// they show signs of life.
LaunchEnd launch_local_ranks(const LocalLaunch& launch);

}  // namespace galvatron::comm
