// The signals that a launcher waits for.
#pragma once
#include <chrono>
#include <optional>
#include <vector>

#include <poll.h>
#include <signal.h>

namespace galvatron::comm {

// SIGCHLD and the signals that stop a run as data of a file descriptor for the time of a launch.
class SignalQueue {
 public:
  SignalQueue();
  ~SignalQueue();
  SignalQueue(const SignalQueue&) = delete;
  SignalQueue& operator=(const SignalQueue&) = delete;

  // What children begin with.
  const sigset_t& mask_before() const { return before_; }
  std::optional<int> next();
  // Until there is a signal, something on one of `fds`, or `deadline` is over; without one for
  // ever.
  void wait(std::vector<pollfd> fds, std::optional<std::chrono::steady_clock::time_point> deadline);

 private:
  int fd_ = -1;
  sigset_t before_{};
};

}  // namespace galvatron::comm
