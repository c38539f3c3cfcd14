#include "galvatron/profiles/cluster.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"

namespace galvatron::profiles {
namespace {

namespace fs = std::filesystem;

constexpr double kLargest = 1e9;

Link read_link(JsonReader& cluster, const std::string& key) {
  JsonReader reader = cluster.get_object(key);
  Link link;
  link.latency_ms = reader.get_number("latency_us", 0, kLargest) / 1000;
  link.bandwidth_bytes_per_ms = reader.get_number("gb_per_s", 1e-6, kLargest) * 1e6;
  reader.finish();
  return link;
}

Bytes read_bytes(JsonReader& reader, const std::string& key) {
  return parse_bytes(reader.get_string(key), reader.source() + ": " + key);
}

void read_device(JsonReader& cluster, Cluster& out) {
  JsonReader reader = cluster.get_object("device");
  out.spec.device = reader.get_string("name");
  out.spec.device_memory = read_bytes(reader, "memory");
  JsonReader tflops = reader.get_object("dense_tflops");
  for (const std::string& precision : tflops.keys()) {
    spec::parse_precision(precision);
    out.dense_tflops[precision] = tflops.get_number(precision, 1e-6, kLargest);
  }
  out.matmul_efficiency = reader.get_number("matmul_efficiency", 1e-3, 1);
  out.memory_gb_per_s = reader.get_number("memory_gb_per_s", 1e-3, kLargest);
  out.overhead_us = reader.get_number_or("overhead_us", 0, 0, kLargest);
  reader.finish();
}

}  // namespace

DeviceSpec Cluster::device(spec::Precision precision) const {
  const auto it = dense_tflops.find(spec::to_text(precision));
  if (it == dense_tflops.end()) {
    throw ConfigError("[cluster] ", spec.name, " has no dense_tflops for ", to_text(precision));
  }
  return {spec.device, it->second * 1e9, matmul_efficiency, memory_gb_per_s * 1e6,
          overhead_us / 1000};
}

spec::Precision Cluster::fast_precision() const {
  for (const spec::Precision precision : {spec::Precision::kBf16, spec::Precision::kFp16}) {
    if (dense_tflops.contains(spec::to_text(precision))) return precision;
  }
  return spec::Precision::kFp32;
}

Cluster Cluster::resized(int world_size) const {
  Cluster out = *this;
  if (world_size < 1) throw ConfigError("[cluster] world_size ", world_size, " must be at least 1");
  if (world_size <= spec.devices_per_node) {
    out.spec.num_nodes = 1;
    out.spec.devices_per_node = world_size;
    return out;
  }
  if (world_size % spec.devices_per_node != 0) {
    throw ConfigError("[cluster] ", world_size, " devices are no whole number of ", spec.name,
                      "'s nodes of ", spec.devices_per_node);
  }
  out.spec.num_nodes = world_size / spec.devices_per_node;
  return out;
}

Cluster cluster_from_json(const Json& json, const std::string& source) {
  JsonReader reader(json, source);
  const std::string format = reader.get_string_or("format", "");
  if (format != "galvatron-cluster") {
    throw ConfigError("[cluster] ", source, " is no cluster: its \"format\" is '", format,
                      "', not 'galvatron-cluster'");
  }
  reader.get_int("version", 1, 1);
  Cluster out;
  constexpr int kMostDevices = 1 << 20;
  out.spec.name = reader.get_string("name");
  out.provenance = reader.get_string("provenance");
  out.spec.num_nodes = static_cast<int>(reader.get_int("num_nodes", 1, kMostDevices));
  out.spec.devices_per_node = static_cast<int>(reader.get_int("devices_per_node", 1, 1024));
  read_device(reader, out);
  out.network.intra_node = read_link(reader, "intra_node");
  out.network.inter_node = read_link(reader, "inter_node");
  out.network.overlap_slowdown = reader.get_number("overlap_slowdown", 1, 100);
  out.network.memory_reserve = read_bytes(reader, "memory_reserve");
  reader.finish();
  return out;
}

std::vector<std::string> cluster_names() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(spec::configs_directory() / "clusters", error)) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Cluster load_cluster(const std::string& cluster) {
  fs::path path = spec::configs_directory() / "clusters" / (cluster + ".json");
  const bool is_file =
      cluster.find('/') != std::string::npos || fs::path(cluster).extension() == ".json";
  if (is_file) path = cluster;
  if (!is_file && !fs::exists(path)) {
    const auto names = cluster_names();
    throw ConfigError("[cluster] '", cluster, "' is neither a file nor one of ",
                      fmt::format("{}", fmt::join(names, ", ")), did_you_mean(cluster, names));
  }
  return cluster_from_json(read_json_file(path), path.string());
}

}  // namespace galvatron::profiles
