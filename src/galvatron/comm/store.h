// The key-value store by which ranks find each other.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <torch/csrc/distributed/c10d/Store.hpp>

#include "galvatron/comm/launch.h"
#include "galvatron/comm/rank_life.h"

namespace galvatron::comm {

struct HostedStore {
  c10::intrusive_ptr<c10d::Store> store;
  int port = 0;
};

// Serves a store on `port` of this machine (0: any free one). ConfigError "port N is in use ...".
HostedStore host_store(int port, std::chrono::milliseconds timeout);

// What the ranks that met have in common.
struct Meeting {
  c10::intrusive_ptr<c10d::Store> store;  // under a prefix of these ranks alone
  std::string prefix;
  std::vector<std::string> hosts;  // by rank
  bool is_served_here = false;
};

// The store of `environment`: served here by rank 0 unless somebody else does. Returns when every
// rank has come; RuntimeFailure naming those that did not within the timeout, ConfigError on every
// rank where they differ in WORLD_SIZE. What earlier ranks have left in a store that outlives them
// does not count.
Meeting join_store(const LaunchEnvironment& environment, std::chrono::milliseconds timeout);

// Another connection to the store of a meeting.
c10::intrusive_ptr<c10d::Store> connect_again(const LaunchEnvironment& environment,
                                              const Meeting& meeting);

// What the ranks that met last in a store that a launcher hosts have said there: the last beat of
// one of them, and "" or their verdict on one of them.
std::optional<Beat> find_beat(c10d::Store& store, int rank);
std::string find_verdict(c10d::Store& store);

}  // namespace galvatron::comm
