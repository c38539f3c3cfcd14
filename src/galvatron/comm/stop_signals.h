// Signals that mean "leave": SIGTERM, SIGINT, SIGUSR1, SIGHUP (unless nohup has it ignored), and
// SIGPIPE where nobody reads our output any more.
#pragma once
#include <array>

#include <signal.h>

namespace galvatron::comm {

// Exit code of a run that was stopped by a signal and can go on from a checkpoint (sysexits.h:
// try again later).
constexpr int kExitResumable = 75;

// A handler of all of them, for as long as it lives.
class StopHandler {
 public:
  explicit StopHandler(void (*handle)(int));
  ~StopHandler();
  StopHandler(const StopHandler&) = delete;
  StopHandler& operator=(const StopHandler&) = delete;

 private:
  static constexpr std::array<int, 5> kSignals = {SIGTERM, SIGINT, SIGUSR1, SIGHUP, SIGPIPE};
  std::array<struct sigaction, kSignals.size()> before_{};
};

// Of a run. While it lives these signals are noted instead of ending the process, so that it can
// save and leave. Whoever asks again, more than a second later, does not want to wait: the process
// then ends at once with 128 + the signal. (A terminal's Ctrl-C reaches a rank twice: by itself and
// by the launcher.) One at a time.
class StopSignals {
 public:
  StopSignals();

  // The first one since then; 0: none.
  static int received();

 private:
  StopHandler handler_;
};

// Of what comes before and between runs, where there is nothing to save: the process ends at once,
// in a line that says so. `saves`: the same command can go on or begin again, so that the exit code
// is kExitResumable; else 128 + the signal. One at a time.
class IdleStop {
 public:
  explicit IdleStop(bool saves);

 private:
  StopHandler handler_;
};

}  // namespace galvatron::comm
