#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include "galvatron/base/error.h"
#include "galvatron/comm/backends/fake/local_backend.h"
#include "galvatron/comm/backends/gloo/gloo_backend.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/life_watch.h"
#include "galvatron/comm/store.h"

namespace galvatron::comm {
namespace {

// The numeric address by which this machine reaches `host`, or "" when there is no way. Nothing is
// sent.
std::string address_towards(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), "9", &hints, &found) != 0) return "";
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> guard(found, freeaddrinfo);
  const int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return "";
  sockaddr_storage own{};
  socklen_t length = sizeof own;
  std::array<char, NI_MAXHOST> name{};
  const bool known = ::connect(fd, found->ai_addr, found->ai_addrlen) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
                     getnameinfo(reinterpret_cast<sockaddr*>(&own), length, name.data(),
                                 name.size(), nullptr, 0, NI_NUMERICHOST) == 0;
  close(fd);
  return known ? name.data() : "";
}

bool is_loopback(const std::string& address) {
  return address.empty() || address.starts_with("127.") || address == "::1";
}

// Loopback when all ranks are here, else the address that faces rank 0; rank 0's own is that of its
// host name.
std::shared_ptr<GlooNetwork> make_network(const LaunchEnvironment& environment) {
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  if (interface && *interface) return std::make_shared<GlooNetwork>(interface, "");
  if (environment.local_world_size == environment.world_size) {
    return std::make_shared<GlooNetwork>("", "127.0.0.1");
  }
  const std::string address = address_towards(environment.master_addr);
  return std::make_shared<GlooNetwork>("", is_loopback(address) ? "" : address);
}

// Gloo and NCCL need a limit; who is too slow is for the watch to find.
constexpr std::chrono::hours kWatched{24 * 365};

std::shared_ptr<World::Factory> make_factory(const LaunchEnvironment& environment,
                                             const WorldOptions& options, const Meeting& meeting) {
  if (options.backend == BackendKind::kFake) return make_fake_factory();
  if (options.backend == BackendKind::kNccl)
    return make_nccl_factory(meeting.store, options.device, kWatched);
  if (environment.world_size == 1) return nullptr;
  GALV_CHECK(options.backend == BackendKind::kGloo, "processes use the gloo or nccl backend");
  return make_gloo_factory(meeting.store, make_network(environment), kWatched, meeting.hosts);
}

Meeting meet(const LaunchEnvironment& environment, const WorldOptions& options) {
  if (environment.world_size > 1 && options.backend != BackendKind::kFake)
    return join_store(environment, std::chrono::seconds(options.limits.join));
  Meeting alone;
  alone.store = c10::make_intrusive<c10d::HashStore>();
  return alone;
}

std::shared_ptr<LifeWatch> make_watch(const LaunchEnvironment& environment,
                                      const WorldOptions& options, const Meeting& meeting) {
  if (meeting.hosts.empty()) return nullptr;
  const WatchOptions watch{environment.rank, environment.world_size, host_name(), options.limits,
                           meeting.is_served_here};
  return std::make_shared<LifeWatch>(connect_again(environment, meeting), watch,
                                     std::make_shared<FlightRecorder>());
}

}  // namespace

World connect(const LaunchEnvironment& environment, const WorldOptions& options) {
  WorldOptions actual = options;
  if (options.device.is_cuda()) {
    const int index = options.device.has_index() ? options.device.index() : environment.local_rank;
    require_cuda(index);
    actual.device = c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
    if (options.backend != BackendKind::kFake) actual.backend = BackendKind::kNccl;
  }
  const Meeting meeting = meet(environment, actual);
  std::shared_ptr<LifeWatch> watch = make_watch(environment, actual, meeting);
  return World(environment.rank, environment.world_size, actual,
               make_factory(environment, actual, meeting), std::move(watch));
}

}  // namespace galvatron::comm
