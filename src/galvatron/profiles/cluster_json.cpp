// Clusters and devices as JSON: a device's file is a cluster's without the number of its nodes.
#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/profiles/device.h"

namespace galvatron::profiles {
namespace {

constexpr double kMostOfAny = 1e9;
constexpr int kMostNodes = 1 << 20;

void require_kind(JsonReader& reader, const std::string& format, const std::string& what) {
  const std::string found = reader.get_string_or("format", "");
  if (found != format) {
    throw ConfigError("[cluster] ", reader.source(), " is no ", what, ": its \"format\" is '",
                      found, "', not '", format, "'");
  }
  reader.get_int("version", 1, 1);
}

// Takes keys into a cluster. Of a known device a key may be left away; then its number stays.
struct NodeReader {
  JsonReader& reader;
  bool is_known = false;

  bool keeps(const std::string& key) {
    if (!is_known || reader.has(key)) return false;
    reader.ignore(key);
    return true;
  }
  void count(const char* key, int& value, int most) {
    if (!keeps(key)) value = static_cast<int>(reader.get_int(key, 1, most));
  }
  void number(const char* key, double& value, double min, double max) {
    if (!keeps(key)) value = reader.get_number(key, min, max);
  }
  // Of what few systems do: none where nothing is said.
  void share(const char* key, double& value) { value = reader.get_number_or(key, value, 0, 1); }
  void bytes(const char* key, Bytes& value) {
    if (!keeps(key)) value = parse_bytes(reader.get_string(key), reader.source() + ": " + key);
  }
  void link(const char* key, Link& value, std::string& source);
};

void NodeReader::link(const char* key, Link& value, std::string& source) {
  if (keeps(key)) return;
  JsonReader entry = reader.get_object(key);
  value.latency_ms = entry.get_number("latency_us", 0, kMostOfAny) / 1000;
  value.bandwidth_bytes_per_ms = entry.get_number("gb_per_s", 1e-6, kMostOfAny) * 1e6;
  source = entry.get_string_or("provenance", is_known ? std::string(key) + " as in the file" : "");
  entry.finish();
}

void read_sheet(JsonReader& file, Cluster& out) {
  JsonReader reader = file.get_object("device");
  NodeReader node{reader};
  out.spec.device = reader.get_string("name");
  node.bytes("memory", out.spec.device_memory);
  JsonReader tflops = reader.get_object("dense_tflops");
  for (const std::string& precision : tflops.keys()) {
    spec::parse_precision(precision);
    out.dense_tflops[precision] = tflops.get_number(precision, 1e-6, kMostOfAny);
  }
  node.number("matmul_efficiency", out.matmul_efficiency, 1e-3, 1);
  node.number("memory_gb_per_s", out.memory_gb_per_s, 1e-3, kMostOfAny);
  out.overhead_us = reader.get_number_or("overhead_us", 0, 0, kMostOfAny);
  reader.finish();
}

// Links, and what else belongs to a node.
void read_node(NodeReader node, Cluster& out) {
  node.count("devices_per_node", out.spec.devices_per_node, 1024);
  node.link("intra_node", out.network.intra_node, out.sources.intra_node);
  node.link("inter_node", out.network.inter_node, out.sources.inter_node);
  node.number("overlap_slowdown", out.network.overlap_slowdown, 1, 100);
  node.share("tp_overlap", out.network.tp_overlap);
  node.share("gather_overlap", out.network.gather_overlap);
  node.bytes("memory_reserve", out.network.memory_reserve);
}

OrderedJson sheet_link_to_json(const Link& link) {
  return {{"latency_us", link.latency_ms * 1000}, {"gb_per_s", link.bandwidth_bytes_per_ms / 1e6}};
}

}  // namespace

Cluster cluster_from_json(const Json& json, const std::string& source) {
  JsonReader reader(json, source);
  require_kind(reader, "galvatron-cluster", "cluster");
  Cluster out;
  const bool is_known = json.contains("device") && json.at("device").is_string();
  if (is_known) {
    out = find_device(reader.get_string("device")).node;
  } else {
    read_sheet(reader, out);
  }
  NodeReader node{reader, is_known};
  out.spec.name = reader.get_string("name");
  node.count("num_nodes", out.spec.num_nodes, kMostNodes);
  read_node(node, out);
  if (!node.keeps("provenance")) out.sources = {reader.get_string("provenance"), "", ""};
  reader.finish();
  return out;
}

Device device_from_json(const Json& json, const std::string& source) {
  JsonReader reader(json, source);
  require_kind(reader, "galvatron-device", "device");
  Device out;
  out.name = reader.get_string("name");
  for (const Json& alias : reader.get_array("aliases")) {
    if (!alias.is_string()) throw ConfigError("[cluster] ", source, ": aliases are strings");
    out.aliases.push_back(alias);
  }
  read_sheet(reader, out.node);
  read_node({reader}, out.node);
  out.node.spec.name = out.name;
  out.node.sources.device = reader.get_string("provenance");
  reader.finish();
  return out;
}

OrderedJson cluster_to_json(const Cluster& cluster) {
  OrderedJson out = {{"format", "galvatron-cluster"},
                     {"version", 1},
                     {"name", cluster.spec.name},
                     {"provenance", cluster.provenance()},
                     {"num_nodes", cluster.spec.num_nodes},
                     {"devices_per_node", cluster.spec.devices_per_node},
                     {"device",
                      {{"name", cluster.spec.device},
                       {"memory", exact_text(cluster.spec.device_memory)},
                       {"dense_tflops", cluster.dense_tflops},
                       {"matmul_efficiency", cluster.matmul_efficiency},
                       {"memory_gb_per_s", cluster.memory_gb_per_s},
                       {"overhead_us", cluster.overhead_us}}},
                     {"intra_node", sheet_link_to_json(cluster.network.intra_node)},
                     {"inter_node", sheet_link_to_json(cluster.network.inter_node)},
                     {"overlap_slowdown", cluster.network.overlap_slowdown},
                     {"memory_reserve", exact_text(cluster.network.memory_reserve)}};
  if (cluster.network.tp_overlap > 0) out["tp_overlap"] = cluster.network.tp_overlap;
  if (cluster.network.gather_overlap > 0) out["gather_overlap"] = cluster.network.gather_overlap;
  return out;
}

}  // namespace galvatron::profiles
