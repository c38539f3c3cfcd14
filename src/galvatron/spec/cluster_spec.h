// The devices that a plan may use: how many, how they are joined, how much memory each has.
#pragma once
#include <string>

#include "galvatron/base/json.h"
#include "galvatron/base/units.h"

namespace galvatron::spec {

struct ClusterSpec {
  std::string name = "local";
  int num_nodes = 1;
  int devices_per_node = 1;
  Bytes device_memory;         // 0: unknown
  std::string device = "cpu";  // what the device is: "cpu", "NVIDIA H100 80GB HBM3"
  int world_size() const { return num_nodes * devices_per_node; }
};

}  // namespace galvatron::spec
