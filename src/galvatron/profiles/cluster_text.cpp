#include "galvatron/profiles/cluster_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/table.h"
#include "galvatron/base/terminal.h"

namespace galvatron::profiles {
namespace {

constexpr int kUsualTextWidth = 100;

Bandwidth bandwidth_of(const Link& link) { return {link.bandwidth_bytes_per_ms}; }

std::string gigabytes(Bandwidth bandwidth) {
  return fmt::format("{:g}", bandwidth.bytes_per_ms / 1e6);
}

std::string tflops_text(const Cluster& cluster, spec::Precision precision) {
  const auto found = cluster.dense_tflops.find(spec::to_text(precision));
  return found == cluster.dense_tflops.end() ? "-" : fmt::format("{:g}", found->second);
}

std::string peaks_text(const Cluster& cluster) {
  std::vector<std::string> peaks;
  for (const auto& [precision, tflops] : cluster.dense_tflops) {
    peaks.push_back(fmt::format("{} {:g}", precision, tflops));
  }
  return fmt::format("{} TFLOP/s dense, of which large matrix products reach {:g} %",
                     fmt::join(peaks, ", "), 100 * cluster.matmul_efficiency);
}

std::string indented(const std::string& text) {
  std::string out;
  for (const std::string& line : wrap_text(text, terminal_width().value_or(kUsualTextWidth) - 2)) {
    out += "  " + line + "\n";
  }
  return out;
}

}  // namespace

std::string to_text(const Cluster& cluster) {
  const NetworkSpec& network = cluster.network;
  std::string out = fmt::format("{}: {} x {} {}\n", cluster.spec.name, cluster.spec.num_nodes,
                                cluster.spec.devices_per_node, cluster.spec.device);
  const auto add = [&](const char* what, const std::string& text) {
    out += fmt::format("  {:<17} {}\n", what, text);
  };
  add("device memory", fmt::format("{}, {} of it reserved, {}", to_text(cluster.spec.device_memory),
                                   to_text(network.memory_reserve),
                                   to_text(gigabytes_per_second(cluster.memory_gb_per_s))));
  add("compute", peaks_text(cluster));
  add("overhead", fmt::format("{:g} us of a layer's forward or backward", cluster.overhead_us));
  add("inside a node",
      fmt::format("{} a device in one direction, {:g} us",
                  to_text(bandwidth_of(network.intra_node)), network.intra_node.latency_ms * 1000));
  add("between nodes",
      fmt::format("{} a node, {} a device, {:g} us", to_text(cluster.node_bandwidth()),
                  to_text(bandwidth_of(network.inter_node)), network.inter_node.latency_ms * 1000));
  add("overlap",
      fmt::format("slows compute and communication {:g} times", network.overlap_slowdown));
  for (const std::string& text : overlap_texts(network.tp_overlap, network.gather_overlap)) {
    out += indented("Assumed: " + text);
  }
  for (const std::string& text : cluster.extrapolated) out += indented("Extrapolated: " + text);
  return out + indented(cluster.provenance());
}

std::string devices_table() {
  TextTable table({"device", "memory", "bf16", "fp16", "fp32", "memory GB/s", "efficiency",
                   "on a node", "intra GB/s", "inter GB/s"});
  for (const Device& device : named_devices()) {
    const Cluster& node = device.node;
    table.add_row(
        {device.name, exact_text(node.spec.device_memory),
         tflops_text(node, spec::Precision::kBf16), tflops_text(node, spec::Precision::kFp16),
         tflops_text(node, spec::Precision::kFp32), fmt::format("{:g}", node.memory_gb_per_s),
         fmt::format("{:g} %", 100 * node.matmul_efficiency),
         std::to_string(node.spec.devices_per_node),
         gigabytes(bandwidth_of(node.network.intra_node)),
         gigabytes(bandwidth_of(node.network.inter_node))});
  }
  return table.to_string();
}

std::string clusters_table() {
  TextTable table({"cluster", "nodes", "on a node", "device", "intra GB/s", "inter GB/s",
                   "inter GB/s of a node"});
  table.align(3, TextTable::Align::kLeft);
  for (const std::string& name : cluster_names()) {
    const Cluster cluster = load_cluster(name);
    table.add_row({name, std::to_string(cluster.spec.num_nodes),
                   std::to_string(cluster.spec.devices_per_node), cluster.spec.device,
                   gigabytes(bandwidth_of(cluster.network.intra_node)),
                   gigabytes(bandwidth_of(cluster.network.inter_node)),
                   gigabytes(cluster.node_bandwidth())});
  }
  return table.to_string();
}

OrderedJson all_clusters_to_json() {
  OrderedJson out = {{"devices", OrderedJson::object()}, {"clusters", OrderedJson::object()}};
  for (const Device& device : named_devices()) {
    out["devices"][device.name] = cluster_to_json(device.node);
  }
  for (const std::string& name : cluster_names()) {
    out["clusters"][name] = cluster_to_json(load_cluster(name));
  }
  return out;
}

}  // namespace galvatron::profiles
