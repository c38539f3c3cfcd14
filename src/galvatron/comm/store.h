// The key-value store by which ranks find each other.
#pragma once
#include <chrono>

#include <torch/csrc/distributed/c10d/Store.hpp>

#include "galvatron/comm/launch.h"

namespace galvatron::comm {

struct HostedStore {
  c10::intrusive_ptr<c10d::Store> store;
  int port = 0;
};

// Serves a store on `port` of this machine (0: any free one). ConfigError "port N is in use ...".
HostedStore host_store(int port, std::chrono::milliseconds timeout);

// The store of `environment`: served here by rank 0 unless somebody else does. Returns when every
// rank has come; RuntimeFailure naming those that did not within the timeout.
c10::intrusive_ptr<c10d::Store> join_store(const LaunchEnvironment& environment,
                                           std::chrono::milliseconds timeout);

}  // namespace galvatron::comm
