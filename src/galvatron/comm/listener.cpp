#include "galvatron/comm/listener.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

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
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found))
    return gai_strerror(code);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> guard(found, freeaddrinfo);
  const auto deadline = ListenerClock::now() + timeout;
  while (true) {
    int error = 0;
    for (const addrinfo* to = found; to != nullptr; to = to->ai_next) {
      error = try_to_connect(*to, std::min(timeout, kOneTry));
      if (error == 0) return "";
    }
    if (ListenerClock::now() + kBetweenTries > deadline) return std::strerror(error);
    std::this_thread::sleep_for(kBetweenTries);
  }
}

}  // namespace galvatron::comm
