#include "galvatron/profiles/cluster.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"

namespace galvatron::profiles {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAssumed =
    ". gb_per_s is one direction at 80 to 90 % of that. Assumed, not measured: matmul_efficiency, "
    "latencies, overlap_slowdown, memory_reserve.";

fs::path cluster_path(const std::string& name) {
  return spec::configs_directory() / "clusters" / (name + ".json");
}

// A bandwidth behind a colon may hold a slash, a spec's other parts never.
bool is_cluster_file(const std::string& text) {
  return fs::path(text).extension() == ".json" ||
         text.substr(0, text.find(':')).find('/') != std::string::npos;
}

}  // namespace

std::string Cluster::provenance() const {
  std::string out = sources.device;
  if (!sources.intra_node.empty()) {
    out += "; " + sources.intra_node;
    if (spec.num_nodes == 1) {
      out += "; a single node; the inter-node link is unused";
    } else if (!is_network_given) {
      out += "; " + sources.inter_node;
    }
    out += kAssumed;
  }
  if (!given.empty()) out += fmt::format(" Given: {}.", fmt::join(given, ", "));
  return out;
}

DeviceSpec Cluster::device(spec::Precision precision) const {
  const auto it = dense_tflops.find(spec::to_text(precision));
  if (it == dense_tflops.end()) {
    throw ConfigError("[cluster] ", spec.name, " has no dense_tflops for ", to_text(precision));
  }
  return {spec.device,           it->second * 1e9,   matmul_efficiency,
          memory_gb_per_s * 1e6, overhead_us / 1000, kernel_rates(spec.device)};
}

HardwareProfile Cluster::hardware(spec::Precision precision) const {
  HardwareProfile out = analytic_hardware_profile(spec, device(precision), network);
  out.extrapolated = extrapolated;
  if (!given.empty()) out.provenance.note += fmt::format("; given: {}", fmt::join(given, ", "));
  return out;
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

Bandwidth Cluster::node_bandwidth() const {
  return {network.inter_node.bandwidth_bytes_per_ms * spec.devices_per_node};
}

void Cluster::set_node_bandwidth(Bandwidth bandwidth) {
  network.inter_node.bandwidth_bytes_per_ms = bandwidth.bytes_per_ms / spec.devices_per_node;
  is_network_given = true;
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
  if (is_cluster_file(cluster)) return cluster_from_json(read_json_file(cluster), cluster);
  return cluster_from_name(cluster);
}

Cluster cluster_from_name(const std::string& cluster) {
  const std::vector<std::string> names = cluster_names();
  if (std::find(names.begin(), names.end(), cluster) == names.end()) {
    return cluster_from_spec(cluster);
  }
  const fs::path named = cluster_path(cluster);
  return cluster_from_json(read_json_file(named), named.string());
}

}  // namespace galvatron::profiles
