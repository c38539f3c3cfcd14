#include "galvatron/profiles/extended.h"

#include <algorithm>
#include <cctype>
#include <string>

#include <fmt/format.h>

#include "galvatron/base/error.h"

namespace galvatron::profiles {
namespace {

constexpr double kUsualInterLatencyMs = 0.015;  // as the named devices have it

struct Wanted {
  int world_size = 1;
  int ranks_per_node = 1;
  bool crosses_nodes() const { return world_size > ranks_per_node; }
};

Wanted wanted_machine(const HardwareProfile& measured, int world_size,
                      const std::optional<Cluster>& cluster, const ClusterOverrides& overrides) {
  if (cluster) return {cluster->spec.world_size(), cluster->spec.devices_per_node};
  return {world_size > 0 ? world_size : measured.world_size,
          overrides.devices_per_node.value_or(measured.ranks_per_node)};
}

// "measured on 8 ranks of one node", "measured on 16 ranks, 8 on a node"
std::string measured_text(const HardwareProfile& measured) {
  if (measured.world_size <= measured.ranks_per_node) {
    return fmt::format("{} ranks of one node", measured.world_size);
  }
  return fmt::format("{} ranks, {} on a node", measured.world_size, measured.ranks_per_node);
}

// Nodes must be of one kind, except that a part of one node may stand for the whole.
void require_same_nodes(const HardwareProfile& measured, Wanted wanted) {
  const int has = measured.ranks_per_node;
  const bool is_part = measured.world_size <= has && wanted.ranks_per_node >= has;
  if (wanted.ranks_per_node == has || is_part) return;
  if (wanted.world_size <= std::min(has, measured.world_size) && !wanted.crosses_nodes()) return;
  throw ConfigError("[hardware] the profile was measured on ", measured_text(measured),
                    ", the machine asked for has ", wanted.ranks_per_node,
                    " on a node; say --devices-per-node ", has,
                    ", or measure again on such nodes with `galvatron profile-hardware`");
}

void require_whole_nodes(Wanted wanted) {
  if (!wanted.crosses_nodes() || wanted.world_size % wanted.ranks_per_node == 0) return;
  throw ConfigError("[hardware] ", wanted.world_size, " ranks are no whole number of nodes of ",
                    wanted.ranks_per_node, "; say another --world-size or --devices-per-node");
}

// Options that only a data sheet has numbers for.
void require_data_sheet(const ClusterOverrides& overrides) {
  ClusterOverrides of_sheet = overrides;
  of_sheet.devices_per_node.reset();
  of_sheet.device_memory.reset();
  of_sheet.overlap_slowdown.reset();
  of_sheet.tp_overlap.reset();
  of_sheet.gather_overlap.reset();
  of_sheet.inter_node.reset();
  of_sheet.inter_node_latency_us.reset();
  const std::vector<std::string> given = of_sheet.given();
  if (given.empty()) return;
  throw ConfigError("[hardware] ", given.front(),
                    " changes a data sheet, and the profile is measured: leave it out, or give a "
                    "--cluster");
}

// Of the largest group of neighbours inside a node: what is left of its fitted line without the
// collective's own steps and traffic.
std::optional<Link> measured_link(const HardwareProfile& measured) {
  const CollectiveTable* best = nullptr;
  for (const CollectiveTable& table : measured.tables) {
    const bool counts = table.collective == Collective::kAllReduce && table.shape.stride == 1 &&
                        !measured.crosses_nodes(table.shape) && table.curve.line().slope > 0;
    if (counts && (!best || table.shape.size > best->shape.size)) best = &table;
  }
  if (!best) return std::nullopt;
  const Line& line = best->curve.line();
  return Link{line.intercept / tree_steps(best->collective, best->shape.size),
              bus_factor(best->collective, best->shape.size) / line.slope};
}

std::optional<Link> known_network(const std::optional<Cluster>& cluster,
                                  const ClusterOverrides& overrides, Wanted wanted) {
  if (cluster) return cluster->network.inter_node;
  if (!overrides.inter_node) return std::nullopt;
  const double latency_us = overrides.inter_node_latency_us.value_or(kUsualInterLatencyMs * 1000);
  return Link{latency_us / 1000, overrides.inter_node->bytes_per_ms / wanted.ranks_per_node};
}

[[noreturn]] void fail_unknown_network(const HardwareProfile& measured, Wanted wanted) {
  const int nodes = wanted.world_size / wanted.ranks_per_node;
  throw ConfigError("[hardware] the profile was measured on ", measured_text(measured),
                    " and says nothing of the network between the ", nodes, " nodes of ",
                    wanted.world_size, " ranks; say it (--inter-node 25GB/s, or --cluster ", nodes,
                    "x", wanted.ranks_per_node,
                    "xDEVICE:25GB/s), say --devices-per-node where a node has more ranks, or "
                    "measure there with `galvatron profile-hardware`");
}

[[noreturn]] void fail_unknown_node(const HardwareProfile& measured, Wanted wanted) {
  throw ConfigError("[hardware] the profile was measured on ", measured_text(measured),
                    " and says nothing of the link that joins ", wanted.ranks_per_node,
                    " ranks of a node; say it with a --cluster, or measure with `galvatron "
                    "profile-hardware --nproc ",
                    wanted.ranks_per_node, "`");
}

// A network that is given counts where none was measured, and there are nodes to join.
void require_need_of_network(const HardwareProfile& measured, Wanted wanted,
                             const ClusterOverrides& overrides) {
  if (!overrides.inter_node ||
      (wanted.crosses_nodes() && wanted.world_size > measured.world_size)) {
    return;
  }
  throw ConfigError("[hardware] --inter-node joins nothing that was not measured: ",
                    wanted.world_size, " ranks are wanted, and the profile has ",
                    measured_text(measured), "; leave it out, or say a larger --world-size");
}

// The model in a device's name: "A100" of "NVIDIA A100-SXM4-80GB".
std::string model_word(const std::string& device) {
  std::string word;
  for (const char c : lower_case(device) + " ") {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      word += c;
      continue;
    }
    if (word.find_first_of("0123456789") != std::string::npos) return word;
    word.clear();
  }
  return "";
}

// Inside a node: from what was measured, where anything was.
std::optional<Link> link_inside(const HardwareProfile& measured,
                                const std::optional<Cluster>& cluster, Wanted wanted,
                                std::vector<std::string>& extrapolated) {
  if (const std::optional<Link> link = measured_link(measured)) {
    if (wanted.ranks_per_node > measured.ranks_per_node) {
      extrapolated.push_back(fmt::format(
          "collectives of more than {0} ranks of a node: at {1} a rank, as {0} ranks measured",
          measured.ranks_per_node, to_text(Bandwidth{link->bandwidth_bytes_per_ms})));
    }
    return link;
  }
  if (!measured.links.empty()) return measured.links.at("intra_node");
  if (!cluster) return std::nullopt;
  if (wanted.ranks_per_node > 1) {
    extrapolated.push_back("collectives inside a node: from the data sheet of " +
                           cluster->spec.name);
  }
  return cluster->network.intra_node;
}

std::string between_nodes_text(const HardwareProfile& measured, Link network, Wanted wanted,
                               const std::string& source) {
  const Bandwidth node{network.bandwidth_bytes_per_ms * wanted.ranks_per_node};
  const std::string part = measured.world_size > measured.ranks_per_node
                               ? fmt::format(", beyond what {} ranks measured", measured.world_size)
                               : "";
  return fmt::format("collectives between nodes{}: from {} a node ({}), not measured", part,
                     to_text(node), source);
}

void add_links(HardwareProfile& out, Wanted wanted, const std::optional<Cluster>& cluster,
               const ClusterOverrides& overrides) {
  const std::optional<Link> network = known_network(cluster, overrides, wanted);
  if (wanted.crosses_nodes() && !network) {
    const bool is_known = out.world_size > out.ranks_per_node || !out.links.empty();
    if (!is_known) fail_unknown_network(out, wanted);
    out.extrapolated.push_back(fmt::format("collectives of {} ranks: from those of {} measured",
                                           wanted.world_size, out.world_size));
    return;
  }
  std::vector<std::string> extrapolated;
  std::optional<Link> inside = link_inside(out, cluster, wanted, extrapolated);
  if (!inside && wanted.ranks_per_node > 1) fail_unknown_node(out, wanted);
  inside = inside.value_or(network.value_or(Link{}));
  if (wanted.crosses_nodes()) {
    const std::string source = cluster ? "cluster " + cluster->spec.name : "as given";
    extrapolated.push_back(between_nodes_text(out, *network, wanted, source));
  }
  out.extrapolated.insert(out.extrapolated.end(), extrapolated.begin(), extrapolated.end());
  out.links = {{"intra_node", *inside}, {"inter_node", network.value_or(*inside)}};
}

void mark_other_device(HardwareProfile& out, const Cluster& cluster) {
  if (model_word(out.device) == model_word(cluster.spec.device)) return;
  out.extrapolated.push_back(
      fmt::format("{} for {}: measured on another device", out.device, cluster.spec.device));
}

}  // namespace

HardwareProfile extended(HardwareProfile measured, int world_size,
                         const std::optional<Cluster>& cluster, const ClusterOverrides& overrides) {
  if (!cluster) require_data_sheet(overrides);
  const Wanted wanted = wanted_machine(measured, world_size, cluster, overrides);
  require_same_nodes(measured, wanted);
  require_whole_nodes(wanted);
  require_need_of_network(measured, wanted, overrides);
  HardwareProfile out = std::move(measured);
  if (wanted.world_size > out.world_size) add_links(out, wanted, cluster, overrides);
  if (cluster) {
    mark_other_device(out, *cluster);
    out.extrapolated.insert(out.extrapolated.end(), cluster->extrapolated.begin(),
                            cluster->extrapolated.end());
    if (out.device_memory.value == 0) out.device_memory = cluster->spec.device_memory;
  }
  if (wanted.world_size > out.world_size) out.ranks_per_node = wanted.ranks_per_node;
  out.world_size = wanted.world_size;
  out.device_memory = overrides.device_memory.value_or(out.device_memory);
  if (overrides.overlap_slowdown) {
    out.overlap_slowdown = *overrides.overlap_slowdown;
    out.overlaps.clear();
  }
  out.tp_overlap = overrides.tp_overlap.value_or(out.tp_overlap);
  out.gather_overlap = overrides.gather_overlap.value_or(out.gather_overlap);
  return out;
}

}  // namespace galvatron::profiles
