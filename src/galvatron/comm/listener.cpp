#include "galvatron/comm/listener.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "galvatron/comm/address.h"

namespace galvatron::comm {
namespace {

using ListenerClock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kBetweenTries{100}, kOneTry{3000};

// 0, or an errno.
int try_to_connect(const addrinfo& to, std::chrono::milliseconds patience) {
  const int fd = socket(to.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  int error = ::connect(fd, to.ai_addr, to.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd waiting{fd, POLLOUT, 0};
    socklen_t size = sizeof error;
    const bool came = poll(&waiting, 1, static_cast<int>(patience.count())) == 1;
    if (!came || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = ETIMEDOUT;
  }
  close(fd);
  return error;
}

}  // namespace

std::string wait_for_listener(const std::string& host, int port,
                              std::chrono::milliseconds timeout) {
  const Resolved there = resolve(host, port);
  if (!there.addresses) return there.problem;
  const auto deadline = ListenerClock::now() + timeout;
  while (true) {
    int error = 0;
    for (const addrinfo* to = there.addresses.get(); to != nullptr; to = to->ai_next) {
      error = try_to_connect(*to, std::min(timeout, kOneTry));
      if (error == 0) return "";
    }
    if (ListenerClock::now() + kBetweenTries > deadline) return std::strerror(error);
    std::this_thread::sleep_for(kBetweenTries);
  }
}

}  // namespace galvatron::comm
