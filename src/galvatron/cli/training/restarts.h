// Ranks that fail are started again.
#pragma once
#include <functional>
#include <string>

#include "galvatron/comm/launch.h"

namespace galvatron::cli {

struct Restarts {
  int most = 0;
  // Starts so many ranks and waits for their end; `again`: they go on from the last checkpoint.
  std::function<comm::LaunchEnd(int num_ranks, bool again)> start;
  // The newest checkpoint; "": none yet.
  std::function<std::string()> newest_checkpoint;
  // The next smaller number of ranks with which the job can run, made ready for start(), when rank
  // `failed` of `num_ranks` has failed again and again; 0 where there is none, which it has said.
  std::function<int(int num_ranks, int failed)> fewer_ranks;
};

// Whether ranks that ended like this may do better next time: not those that did their work, were
// stopped, or refused what they were given.
bool is_worth_a_restart(const comm::LaunchEnd& end);

// Starts the ranks at most 1 + most times. Where the same rank fails twice in a row without a new
// checkpoint between, fewer are started. What happens is said on standard error. Returns the exit
// code of the last.
int run_with_restarts(int num_ranks, const Restarts& restarts);

}  // namespace galvatron::cli
