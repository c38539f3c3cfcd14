// SIGTERM, SIGINT and SIGUSR1 as the wish to save and leave, for the time of a run.
#pragma once
#include <array>

#include <signal.h>

namespace galvatron::comm {

// Exit code of a run that was stopped by a signal and can go on from a checkpoint (sysexits.h:
// try again later).
constexpr int kExitResumable = 75;

// While it lives these signals are noted instead of ending the process. Whoever asks again, more
// than a second later, does not want to wait: the process then ends at once with 128 + the signal.
// (A terminal's Ctrl-C reaches a rank twice: by itself and by the launcher.) One at a time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // The first one since then; 0: none.
  static int received();

 private:
  static constexpr std::array<int, 3> kSignals = {SIGTERM, SIGINT, SIGUSR1};
  std::array<struct sigaction, kSignals.size()> before_{};
};

}  // namespace galvatron::comm
