// Named devices from data sheets (configs/devices/*.json): the one home of their numbers.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "galvatron/profiles/cluster.h"

namespace galvatron::profiles {

struct Device {
  std::string name;                  // "A100-40G", as clusters name it
  std::vector<std::string> aliases;  // other names that people know
  Cluster node;                      // of as many as usually stand together, with their links
};

// By name or alias; case, '-', '_' and spaces do not count. ConfigError names the three nearest.
Device find_device(const std::string& name);
bool knows_device(const std::string& name);
// By the name that its driver reports ("NVIDIA H100 80GB HBM3"), or that a profile has; nullopt
// where the table does not know it, as for every CPU.
std::optional<Device> find_reported_device(const std::string& reported);
// Whether two names, of drivers, profiles or data sheets, may be of one device: a CPU that does not
// say which it is may be any.
bool may_be_same_device(const std::string& a, const std::string& b);
// Dense FLOPs per second of that device; 0 where it is not known.
double peak_flops(const std::string& reported, spec::Precision precision);
std::vector<Device> named_devices();  // all, by name
std::vector<std::string> device_names();

// {"format": "galvatron-device", "version": 1, "name", "aliases": [...], "provenance",
// "devices_per_node", "device": {"name", "memory", "dense_tflops": {"bf16": ...},
// "matmul_efficiency", "memory_gb_per_s", "overhead_us"}, "intra_node", "inter_node":
// {"latency_us", "gb_per_s" (of one device, one direction), "provenance"}, "overlap_slowdown",
// "tp_overlap", "gather_overlap" (0 where left out), "memory_reserve"}.
Device device_from_json(const Json& json, const std::string& source);

}  // namespace galvatron::profiles
