#include "galvatron/profiles/cluster_overrides.h"

#include <algorithm>

#include <fmt/format.h>

#include "galvatron/base/error.h"

namespace galvatron::profiles {
namespace {

template <typename T>
void override_with(const std::optional<T>& given, T& value) {
  if (given) value = *given;
}

void override_device(const ClusterOverrides& overrides, Cluster& cluster) {
  override_with(overrides.device_memory, cluster.spec.device_memory);
  if (overrides.dense_tflops) {
    for (auto& [precision, tflops] : cluster.dense_tflops) tflops = *overrides.dense_tflops;
  }
  override_with(overrides.matmul_efficiency, cluster.matmul_efficiency);
  if (overrides.memory_bandwidth) {
    cluster.memory_gb_per_s = overrides.memory_bandwidth->bytes_per_ms / 1e6;
  }
  override_with(overrides.overhead_us, cluster.overhead_us);
}

void override_links(const ClusterOverrides& overrides, Cluster& cluster) {
  NetworkSpec& network = cluster.network;
  if (overrides.intra_node) {
    network.intra_node.bandwidth_bytes_per_ms = overrides.intra_node->bytes_per_ms;
  }
  if (overrides.inter_node) cluster.set_node_bandwidth(*overrides.inter_node);
  if (overrides.intra_node_latency_us) {
    network.intra_node.latency_ms = *overrides.intra_node_latency_us / 1000;
  }
  if (overrides.inter_node_latency_us) {
    network.inter_node.latency_ms = *overrides.inter_node_latency_us / 1000;
  }
  override_with(overrides.overlap_slowdown, network.overlap_slowdown);
  override_with(overrides.tp_overlap, network.tp_overlap);
  override_with(overrides.gather_overlap, network.gather_overlap);
}

// Its devices on nodes of another size. A network that was given is that of a node of any size.
Cluster regrouped(const Cluster& cluster, const ClusterOverrides& overrides) {
  Cluster out = cluster;
  if (!overrides.devices_per_node) return out;
  const Bandwidth network = cluster.node_bandwidth();
  out.spec.num_nodes = std::max(1, cluster.spec.world_size() / *overrides.devices_per_node);
  out.spec.devices_per_node = *overrides.devices_per_node;
  if (cluster.is_network_given) out.set_node_bandwidth(network);
  return out;
}

void require_one_network(const ClusterOverrides& overrides, const Cluster& cluster) {
  if (!overrides.inter_node || !cluster.is_network_given) return;
  throw ConfigError("[cluster] ", cluster.spec.name, " and --inter-node ",
                    exact_text(*overrides.inter_node),
                    " both say the network of a node; leave one out");
}

void require_links_that_agree(const ClusterOverrides& overrides, const Cluster& cluster) {
  const spec::ClusterSpec& spec = cluster.spec;
  if (spec.num_nodes == 1 && cluster.is_network_given) {
    throw ConfigError("[cluster] ", spec.name, " is one node of ", spec.devices_per_node,
                      ": a network between nodes joins nothing; say the nodes (2x",
                      spec.devices_per_node, "x...) or leave the network out");
  }
  if (spec.devices_per_node == 1 && overrides.intra_node) {
    throw ConfigError("[cluster] ", spec.name,
                      " has one device on a node: --intra-node joins nothing; leave it out");
  }
  const Link &inside = cluster.network.intra_node, &across = cluster.network.inter_node;
  if (spec.num_nodes > 1 && spec.devices_per_node > 1 &&
      across.bandwidth_bytes_per_ms > inside.bandwidth_bytes_per_ms) {
    throw ConfigError("[cluster] ", spec.name, ": ", to_text(cluster.node_bandwidth()),
                      " a node is ", to_text(Bandwidth{across.bandwidth_bytes_per_ms}),
                      " a device, more than its link inside the node (",
                      to_text(Bandwidth{inside.bandwidth_bytes_per_ms}),
                      "); give a smaller --inter-node or a larger --intra-node");
  }
}

}  // namespace

std::vector<std::string> ClusterOverrides::given() const {
  ClusterOverrides copy = *this;
  const OptionList options = cluster_override_options(copy);
  std::vector<std::string> out;
  for (const Option& option : options.all()) {
    const OrderedJson value = option.value();
    if (value.is_null()) continue;
    std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (option.kind == OptionKind::kBytes) text = exact_text(Bytes{value.get<std::int64_t>()});
    out.push_back(fmt::format("--{} {}", option.name, text));
  }
  return out;
}

OptionList cluster_override_options(ClusterOverrides& overrides) {
  constexpr double kMost = 1e9;
  OptionList list;
  list.group("Cluster");
  list.bandwidth("inter-node", overrides.inter_node,
                 "Network of one node, all its devices together: 25GB/s, or in bits 200Gb/s");
  list.bandwidth("intra-node", overrides.intra_node,
                 "Link of one device inside its node, in one direction: 240GB/s");
  list.number("inter-node-latency-us", overrides.inter_node_latency_us, {0, kMost},
              "Latency of one message between nodes, in microseconds");
  list.number("intra-node-latency-us", overrides.intra_node_latency_us, {0, kMost},
              "Latency of one message inside a node, in microseconds");
  list.count("devices-per-node", overrides.devices_per_node, {1, 1024},
             "The same devices on nodes of another size; a device's share of the network stays");
  list.bytes("device-memory", overrides.device_memory,
             "What a device has, of which --memory is the part to use: 24GiB");
  list.number("dense-tflops", overrides.dense_tflops, {1e-3, kMost},
              "Peak of a device in the precision trained in, without sparsity, in TFLOP/s");
  list.number("matmul-efficiency", overrides.matmul_efficiency, {1e-3, 1},
              "Share of the peak that large matrix products reach");
  list.bandwidth("memory-bandwidth", overrides.memory_bandwidth, "Of a device's own memory: 2TB/s");
  list.number("overhead-us", overrides.overhead_us, {0, kMost},
              "Fixed cost of one layer's forward or backward, in microseconds");
  list.number("overlap-slowdown", overrides.overlap_slowdown, {1, 100},
              "How much slower compute and communication run beside each other: 1 is not at all");
  list.number("tp-overlap", overrides.tp_overlap, {0, 1},
              "Share of tensor parallelism's collectives that hide behind products: 0 is waiting");
  list.number("gather-overlap", overrides.gather_overlap, {0, 1},
              "Share of ZeRO-1's and 2's gathers that hide behind the next forward: 0 is waiting");
  return list;
}

Cluster adapted(const Cluster& cluster, const ClusterOverrides& overrides, int world_size) {
  require_one_network(overrides, cluster);
  Cluster out = regrouped(cluster, overrides);
  const int num_nodes = out.spec.num_nodes;
  out = out.resized(world_size > 0 ? world_size : cluster.spec.world_size());
  override_device(overrides, out);
  override_links(overrides, out);
  const std::vector<std::string> given = overrides.given();
  out.given.insert(out.given.end(), given.begin(), given.end());
  if (out.spec.num_nodes > num_nodes && !out.is_network_given) {
    out.extrapolated.push_back(fmt::format("{} nodes joined by {} each: the cluster {} has {}",
                                           out.spec.num_nodes, to_text(out.node_bandwidth()),
                                           out.spec.name, num_nodes));
  }
  require_links_that_agree(overrides, out);
  return out;
}

}  // namespace galvatron::profiles
