// Numbers of a cluster that somebody knows better than its data sheet, as the command line and
// Python take them.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/option.h"
#include "galvatron/profiles/cluster.h"

namespace galvatron::profiles {

// Unset: as the cluster has it.
struct ClusterOverrides {
  std::optional<int> devices_per_node;
  std::optional<Bytes> device_memory;
  std::optional<Bandwidth> inter_node;  // of one node's network
  std::optional<Bandwidth> intra_node;  // of one device, in one direction
  std::optional<double> inter_node_latency_us, intra_node_latency_us;  // of one message
  std::optional<double> dense_tflops;  // in the precision trained in
  std::optional<double> matmul_efficiency;
  std::optional<Bandwidth> memory_bandwidth;
  std::optional<double> overhead_us;
  std::optional<double> overlap_slowdown;
  std::optional<double> tp_overlap, gather_overlap;

  // "--inter-node 25GB/s", ... of those that are set.
  std::vector<std::string> given() const;
};

// `overrides` must outlive the list: for the command line and Python.
OptionList cluster_override_options(ClusterOverrides& overrides);

// The cluster as it was asked for: of nodes of another size, of `world_size` devices (0: as many as
// it has), with the numbers given; more nodes of a network that was not given are `extrapolated`.
// ConfigError for a network that is said twice or joins nothing, and for a device whose share of
// the network is more than its link inside the node.
Cluster adapted(const Cluster& cluster, const ClusterOverrides& overrides, int world_size = 0);

}  // namespace galvatron::profiles
