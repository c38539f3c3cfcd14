// How the end of a local job is told: which of the ranks that failed was the cause, and in which
// words.
#pragma once
#include <span>
#include <string>

namespace galvatron::comm {

struct RankFailure {
  int rank = 0;
  int status = 0;    // of waitpid
  std::string said;  // the end of its output; empty for rank 0, whose output was passed through
};

// Exit code to pass on: the rank's own, 1 for a signal.
int exit_code(const RankFailure& failure);

// `failures` in order of time. A killed rank comes before one that exited, a reason of its own
// before the echo of another's ("lost the connection to rank 2").
const RankFailure& root_cause(std::span<const RankFailure> failures);

// What the ranks said of themselves in their store (rank_life.h).
struct LastSigns {
  std::string verdict;    // on a rank without life, or on one that failed; "": none
  std::string last_seen;  // of the cause: "in forward of layer 7 of step 41"; "": nobody knows
};

// One line for the terminal; "" when rank 0 has already said it (bad input, which every rank
// refuses in the same words; the ranks' verdict).
std::string describe_failure(const RankFailure& cause, std::span<const RankFailure> failures,
                             const LastSigns& signs = {});

}  // namespace galvatron::comm
