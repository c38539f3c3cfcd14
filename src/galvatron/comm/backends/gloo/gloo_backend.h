// Ranks as processes (or, in tests, threads) that talk over TCP by Gloo.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <torch/csrc/distributed/c10d/Store.hpp>

#include "galvatron/comm/backends/backend.h"

namespace galvatron::comm {

// The sockets' address and I/O thread; one for all groups and all rank threads of a process.
class GlooNetwork {
 public:
  // `interface` names a network interface ("eth0"); "" takes the address `address` ("127.0.0.1"),
  // and when that is empty too, this host's own name. ConfigError when there is no such interface.
  GlooNetwork(const std::string& interface, const std::string& address);
  ~GlooNetwork();

 private:
  friend class GlooFactory;
  struct Device;
  std::unique_ptr<Device> device_;
};

// `hosts`: of all ranks, for messages; empty where they are one process.
std::shared_ptr<World::Factory> make_gloo_factory(c10::intrusive_ptr<c10d::Store> store,
                                                  std::shared_ptr<GlooNetwork> network,
                                                  std::chrono::milliseconds timeout,
                                                  std::vector<std::string> hosts = {});

}  // namespace galvatron::comm
