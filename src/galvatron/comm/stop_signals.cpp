#include "galvatron/comm/stop_signals.h"

#include <atomic>
#include <ctime>
#include <string_view>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace galvatron::comm {
namespace {

constexpr std::time_t kTwiceSeconds = 1;

std::atomic<int> stop_signal = 0;
std::atomic<std::time_t> stop_time = 0;  // of the first, in seconds
std::atomic<bool> idle_saves = false;
static_assert(std::atomic<std::time_t>::is_always_lock_free);

std::time_t monotonic_seconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

// Standard output or errors that nobody reads any more go nowhere from here on. False: it was
// another pipe.
bool leave_broken_pipes() {
  bool found = false;
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    pollfd state{fd, POLLOUT, 0};
    if (poll(&state, 1, 0) <= 0 || (state.revents & POLLERR) == 0) continue;
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0) dup2(null, fd), close(null);
    found = true;
  }
  return found;
}

void note_stop(int number) {
  if (number == SIGPIPE && !leave_broken_pipes()) return;
  int none = 0;
  if (stop_signal.compare_exchange_strong(none, number)) {
    stop_time = monotonic_seconds();
  } else if (number != SIGPIPE && monotonic_seconds() - stop_time > kTwiceSeconds) {
    _exit(128 + number);
  }
}

void leave_at_once(int number) {
  constexpr std::string_view kLine = "stopped by a signal while nothing was being trained\n";
  const bool is_said = number != SIGPIPE && write(STDERR_FILENO, kLine.data(), kLine.size()) > 0;
  _exit(idle_saves && is_said ? kExitResumable : 128 + number);
}

}  // namespace

StopHandler::StopHandler(void (*handle)(int)) {
  struct sigaction action{};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &before_[i]);
    const bool is_kept = kSignals[i] == SIGHUP && before_[i].sa_handler == SIG_IGN;
    if (!is_kept) sigaction(kSignals[i], &action, nullptr);
  }
}

StopHandler::~StopHandler() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
}

StopSignals::StopSignals() : handler_((stop_signal = 0, note_stop)) {}

int StopSignals::received() { return stop_signal; }

IdleStop::IdleStop(bool saves) : handler_((idle_saves = saves, leave_at_once)) {}

}  // namespace galvatron::comm
