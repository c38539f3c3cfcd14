#include "galvatron/comm/stop_signals.h"

#include <atomic>
#include <ctime>

#include <unistd.h>

namespace galvatron::comm {
namespace {

constexpr std::time_t kTwiceSeconds = 1;

std::atomic<int> stop_signal = 0;
std::atomic<std::time_t> stop_time = 0;  // of the first, in seconds
static_assert(std::atomic<std::time_t>::is_always_lock_free);

std::time_t monotonic_seconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

void note_stop(int number) {
  int none = 0;
  if (stop_signal.compare_exchange_strong(none, number)) {
    stop_time = monotonic_seconds();
  } else if (monotonic_seconds() - stop_time > kTwiceSeconds) {
    _exit(128 + number);
  }
}

}  // namespace

StopSignals::StopSignals() {
  stop_signal = 0;
  struct sigaction action{};
  action.sa_handler = note_stop;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &before_[i]);
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
}

int StopSignals::received() { return stop_signal; }

}  // namespace galvatron::comm
