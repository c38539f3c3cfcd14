// The signals that a launcher waits for.
#pragma once
#include <optional>

#include <signal.h>

namespace galvatron::comm {

// SIGCHLD and the signals that stop a run as data of a file descriptor for the time of a launch.
class SignalQueue {
 public:
  SignalQueue();
  ~SignalQueue();
  SignalQueue(const SignalQueue&) = delete;
  SignalQueue& operator=(const SignalQueue&) = delete;

  int fd() const { return fd_; }
  // What children begin with.
  const sigset_t& mask_before() const { return before_; }
  std::optional<int> next();

 private:
  int fd_ = -1;
  sigset_t before_{};
};

}  // namespace galvatron::comm
