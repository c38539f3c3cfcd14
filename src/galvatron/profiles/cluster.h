// Clusters from data sheets: planning without hardware. One is named (configs/clusters/*.json), a
// file, or a short spec over the named devices (device.h): 2x8xA100-40G:25GB/s.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "galvatron/profiles/analytic.h"
#include "galvatron/spec/cluster_spec.h"
#include "galvatron/spec/job_spec.h"

namespace galvatron::profiles {

struct Cluster {
  spec::ClusterSpec spec;
  std::map<std::string, double> dense_tflops;  // peak by precision name
  double matmul_efficiency = 0.5;
  double memory_gb_per_s = 1000;  // 10^9 bytes
  double overhead_us = 0;         // per layer and pass
  NetworkSpec network;

  // Where the numbers come from. A file with numbers of its own says it for all, under `device`.
  struct Sources {
    std::string device, intra_node, inter_node;
    bool operator==(const Sources&) const = default;
  };
  Sources sources;
  std::vector<std::string> given;         // "--inter-node 25GB/s": in the place of the sources'
  bool is_network_given = false;          // by set_node_bandwidth()
  std::vector<std::string> extrapolated;  // see HardwareProfile

  // Data sheet, and what is assumed: one text.
  std::string provenance() const;
  // ConfigError when the precision's peak is not known.
  DeviceSpec device(spec::Precision precision) const;
  // What its links and devices make, without any measurement; `extrapolated` goes with it.
  HardwareProfile hardware(spec::Precision precision) const;
  // Of those whose peak is known: bf16, else fp16, else fp32.
  spec::Precision fast_precision() const;
  // The same machines, so many that there are `world_size` devices. ConfigError unless they are
  // whole nodes or a part of one.
  Cluster resized(int world_size) const;
  // Of a node's network, to and from all of its devices at once.
  Bandwidth node_bandwidth() const;
  void set_node_bandwidth(Bandwidth bandwidth);
};

// `cluster` is a name ("8xH100": configs/clusters/8xH100.json), a file or a spec; names come first.
// ConfigError names the file and the key; for what is none of them, the nearest.
Cluster load_cluster(const std::string& cluster);
// The same of a name or a spec: no file that `cluster` names is looked at.
Cluster cluster_from_name(const std::string& cluster);
std::vector<std::string> cluster_names();

// "[NODESx]DEVICESxDEVICE[:NETWORK]" or "DEVICE". With one count: a node or a part of it, or whole
// nodes of the device's usual size. NETWORK is the bandwidth of one node's network, its devices'
// shares together; without it the usual one of the device. DEVICE may be a size ("8x40GB") that a
// single named device has. ConfigError says the grammar, or names the three nearest devices, or
// those of the size.
Cluster cluster_from_spec(const std::string& text);

// {"format": "galvatron-cluster", "version": 1, "name", "device": a named one, "num_nodes",
// "devices_per_node"}, where any key of the device's file (device.h) may be given too; or with
// "device": {...} of its own: then all of them, and "provenance". docs/clusters.md lists the keys.
Cluster cluster_from_json(const Json& json, const std::string& source);
// With every number; what is `given` and `extrapolated` is in the provenance alone.
OrderedJson cluster_to_json(const Cluster& cluster);

}  // namespace galvatron::profiles
