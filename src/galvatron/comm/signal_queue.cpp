#include "galvatron/comm/signal_queue.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/signalfd.h>
#include <unistd.h>

#include "galvatron/base/error.h"

namespace galvatron::comm {

SignalQueue::SignalQueue() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGCHLD, SIGINT, SIGTERM, SIGUSR1}) sigaddset(&set, signal);
  struct sigaction hangup{};
  sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) sigaddset(&set, SIGHUP);  // nohup
  pthread_sigmask(SIG_BLOCK, &set, &before_);
  fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd_ < 0) throw RuntimeFailure("cannot watch signals: ", std::strerror(errno));
}

SignalQueue::~SignalQueue() {
  close(fd_);
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::optional<int> SignalQueue::next() {
  signalfd_siginfo info{};
  if (read(fd_, &info, sizeof info) != sizeof info) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

void SignalQueue::wait(std::vector<pollfd> fds,
                       std::optional<std::chrono::steady_clock::time_point> deadline) {
  using std::chrono::ceil, std::chrono::milliseconds, std::chrono::steady_clock;
  fds.push_back({fd_, POLLIN, 0});
  int timeout = -1;
  if (deadline) {
    const auto left = ceil<milliseconds>(*deadline - steady_clock::now());
    timeout = static_cast<int>(std::max<std::int64_t>(0, left.count()));
  }
  poll(fds.data(), fds.size(), timeout);
}

}  // namespace galvatron::comm
