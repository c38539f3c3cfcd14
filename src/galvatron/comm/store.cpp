#include "galvatron/comm/store.h"

#include <string>
#include <vector>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "galvatron/base/error.h"
#include "galvatron/comm/backends/backend.h"
#include "galvatron/comm/backends/error_text.h"

namespace galvatron::comm {
namespace {

c10d::TCPStoreOptions store_options(int port, bool serves, std::chrono::milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(port);
  options.isServer = serves;
  options.waitWorkers = false;
  options.timeout = timeout;
  return options;
}

// torch tries to connect for up to twice the timeout.
c10::intrusive_ptr<c10d::Store> find_store(const LaunchEnvironment& environment,
                                           std::chrono::milliseconds timeout) {
  try {
    auto store = c10::make_intrusive<c10d::TCPStore>(
        environment.master_addr, store_options(environment.master_port, false, timeout / 2));
    store->setTimeout(timeout);
    return store;
  } catch (const std::exception& error) {
    throw RuntimeFailure("rank ", environment.rank, " found no store at ", environment.master_addr,
                         ":", environment.master_port, " within ", timeout.count(),
                         " ms: is rank 0 running there? (", short_reason(error), ")");
  }
}

// Of the keys of these ranks: a hosted store outlives them.
std::string prefix(const LaunchEnvironment& environment) {
  const std::string attempt = "galvatron/attempt" + std::to_string(environment.restart_count);
  return environment.purpose.empty() ? attempt : attempt + "/" + environment.purpose;
}

std::string place_key(int rank) { return "joined/" + std::to_string(rank); }

std::string absent_ranks(c10d::Store& store, int world_size) {
  std::vector<int> absent;
  for (int rank = 0; rank < world_size; ++rank) {
    if (!store.check({place_key(rank)})) absent.push_back(rank);
  }
  return rank_set_name(absent);
}

void wait_for_all(c10d::Store& store, const LaunchEnvironment& environment,
                  std::chrono::milliseconds timeout) {
  std::vector<std::string> keys;
  for (int rank = 0; rank < environment.world_size; ++rank) keys.push_back(place_key(rank));
  try {
    store.set(place_key(environment.rank), std::vector<std::uint8_t>{1});
    store.wait(keys, timeout);
  } catch (const c10::DistStoreError&) {
    throw RuntimeFailure(
        absent_ranks(store, environment.world_size), " of ", environment.world_size,
        " did not join within ", timeout.count(), " ms",
        environment.launcher == "slurm" ? " (are the ranks started by srun?)" : "");
  } catch (const std::exception& error) {
    throw RuntimeFailure("rank ", environment.rank, " lost the store at ", environment.master_addr,
                         ":", environment.master_port, ": its host has ended (",
                         short_reason(error), ")");
  }
}

}  // namespace

HostedStore host_store(int port, std::chrono::milliseconds timeout) {
  try {
    auto store =
        c10::make_intrusive<c10d::TCPStore>("127.0.0.1", store_options(port, true, timeout));
    const int actual = store->getPort();
    return {std::move(store), actual};
  } catch (const std::exception& error) {
    if (short_reason(error).find("in use") == std::string::npos) {
      throw ConfigError("[launch] cannot serve the store on port ", port, ": ",
                        short_reason(error));
    }
    throw ConfigError("[launch] port ", port,
                      " is in use on this machine: choose another one (MASTER_PORT)");
  }
}

c10::intrusive_ptr<c10d::Store> join_store(const LaunchEnvironment& environment,
                                           std::chrono::milliseconds timeout) {
  const bool serves = environment.rank == 0 && !environment.store_is_hosted;
  auto root = serves ? host_store(environment.master_port, timeout).store
                     : find_store(environment, timeout);
  auto store = c10::make_intrusive<c10d::PrefixStore>(prefix(environment), root);
  wait_for_all(*store, environment, timeout);
  return store;
}

std::string share_text(const LaunchEnvironment& environment, const std::string& key,
                       const std::string& text, std::chrono::milliseconds patience) {
  if (environment.world_size == 1) return text;
  GALV_CHECK(environment.store_is_hosted, "nobody serves a store before the ranks connect");
  const auto root = find_store(environment, patience);
  c10d::PrefixStore store(prefix(environment) + "/shared", root);
  try {
    if (environment.rank == 0) store.set(key, std::vector<std::uint8_t>(text.begin(), text.end()));
    const std::vector<std::uint8_t> said = store.get(key);
    return {said.begin(), said.end()};
  } catch (const std::exception& error) {
    throw RuntimeFailure("rank ", environment.rank, " heard nothing of rank 0 on '", key,
                         "' within ", patience.count(), " ms (", short_reason(error), ")");
  }
}

}  // namespace galvatron::comm
