#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include "galvatron/base/error.h"
#include "galvatron/comm/address.h"
#include "galvatron/comm/backends/fake/local_backend.h"
#include "galvatron/comm/backends/gloo/gloo_backend.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/life_watch.h"
#include "galvatron/comm/store.h"

namespace galvatron::comm {
namespace {

// Loopback when all ranks are here, else the address that faces rank 0.
std::shared_ptr<GlooNetwork> make_network(const LaunchEnvironment& environment) {
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  if (interface && *interface) return std::make_shared<GlooNetwork>(interface, "");
  const bool all_are_here = environment.local_world_size == environment.world_size &&
                            (environment.knows_local_rank || is_loopback(environment.master_addr));
  if (all_are_here) return std::make_shared<GlooNetwork>("", "127.0.0.1");
  return std::make_shared<GlooNetwork>("", reachable_address(environment.master_addr));
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
    const int index = options.device.has_index()
                          ? options.device.index()
                          : device_of_rank(environment, cuda_plugin().device_count());
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
