// Named clusters from data sheets (configs/clusters/*.json): planning without hardware.
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
  std::string provenance;                      // data sheet, and what is assumed
  std::map<std::string, double> dense_tflops;  // peak by precision name
  double matmul_efficiency = 0.5;
  double memory_gb_per_s = 1000;  // 10^9 bytes
  double overhead_us = 0;         // per layer and pass
  NetworkSpec network;

  // ConfigError when the precision's peak is not known.
  DeviceSpec device(spec::Precision precision) const;
  // Of those whose peak is known: bf16, else fp16, else fp32.
  spec::Precision fast_precision() const;
  // The same machines, so many that there are `world_size` devices. ConfigError unless they are
  // whole nodes or a part of one.
  Cluster resized(int world_size) const;
};

// `cluster` is a name ("8xH100": configs/clusters/8xH100.json) or a file. ConfigError names the
// file and the key; for an unknown name, the nearest.
Cluster load_cluster(const std::string& cluster);
Cluster cluster_from_json(const Json& json, const std::string& source);
std::vector<std::string> cluster_names();

}  // namespace galvatron::profiles
