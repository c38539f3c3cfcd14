#include "galvatron/cli/training/restarts.h"

#include <fmt/format.h>

#include "galvatron/base/units.h"
#include "galvatron/cli/command_line.h"
#include "galvatron/comm/stop_signals.h"

namespace galvatron::cli {

bool is_worth_a_restart(const comm::LaunchEnd& end) {
  const bool may_do_better =
      end.code != 0 && end.code != comm::kExitResumable && end.code != kExitBadInput;
  return may_do_better && !end.was_stopped;
}

int run_with_restarts(int num_ranks, const Restarts& restarts) {
  int suspect = -1;  // failed last time
  std::string before = restarts.newest_checkpoint();
  for (int done = 0;; ++done) {
    const comm::LaunchEnd end = restarts.start(num_ranks, done > 0);
    if (done == restarts.most || !is_worth_a_restart(end)) return end.code;
    std::string now = restarts.newest_checkpoint();
    const bool again = end.cause >= 0 && end.cause == suspect && now == before;
    suspect = again ? -1 : end.cause;
    if (again) {
      num_ranks = restarts.fewer_ranks(num_ranks, end.cause);
      if (num_ranks == 0) return end.code;
    }
    fmt::print(stderr, "restart {} of {}: {} from {}\n", done + 1, restarts.most,
               count_text(num_ranks, "rank"), now.empty() ? "the beginning" : now);
    before = std::move(now);
  }
}

}  // namespace galvatron::cli
