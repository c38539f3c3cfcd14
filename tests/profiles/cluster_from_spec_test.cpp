#include <gtest/gtest.h>

#include "galvatron/profiles/cluster.h"

#include "config_error.h"

namespace galvatron::profiles {
namespace {

std::string shape_of(const std::string& spec) {
  const Cluster cluster = cluster_from_spec(spec);
  return std::to_string(cluster.spec.num_nodes) + " x " +
         std::to_string(cluster.spec.devices_per_node) + " " + cluster.spec.device;
}

TEST(ClusterSpecText, SaysNodesDevicesAndDevice) {
  EXPECT_EQ(shape_of("2x8xA100-40G"), "2 x 8 NVIDIA A100 40GB SXM");
  EXPECT_EQ(shape_of("3x5xa100"), "3 x 5 NVIDIA A100 80GB SXM");
  EXPECT_EQ(shape_of("8x1xL4"), "8 x 1 NVIDIA L4");
  EXPECT_EQ(shape_of("2x4x4090"), "2 x 4 NVIDIA GeForce RTX 4090");
  EXPECT_EQ(shape_of("8x3090"), "1 x 8 NVIDIA GeForce RTX 3090");
}

TEST(ClusterSpecText, ASizeIsTheDeviceThatAloneHasIt) {
  EXPECT_EQ(shape_of("8x40GB"), "1 x 8 NVIDIA A100 40GB SXM");
  EXPECT_EQ(shape_of("2x4x11GB:25GB/s"), "2 x 4 NVIDIA GeForce RTX 2080 Ti");
  EXPECT_EQ(shape_of("141GiB"), "1 x 1 NVIDIA H200 141GB SXM");
  const std::string provenance = cluster_from_spec("8x40GB").provenance();
  EXPECT_NE(provenance.find("Given: 40GB a device, as only A100-40G has."), std::string::npos)
      << provenance;
  EXPECT_EQ(config_error_of([] { cluster_from_spec("2x8x24GB:25GB/s"); }),
            "[cluster] '2x8x24GB' says what a device has, not which it is: A10, A30, L4, RTX3090, "
            "RTX4090, TITAN-RTX have so much; write one of them, such as 2x8xA10, or for any other "
            "one that computes like it, with --device-memory 24GB");
  EXPECT_EQ(config_error_of([] { cluster_from_spec("8x20GiB"); }),
            "[cluster] '8x20GiB' says what a device has, and none that is named has so much: write "
            "one that computes like yours, such as 8xA10, with --device-memory 20GiB (`galvatron "
            "clusters` lists all; a cluster file describes any other)");
}

TEST(ClusterSpecText, OneCountIsANodeOrAPartOrWholeNodes) {
  EXPECT_EQ(shape_of("A100-80G"), "1 x 1 NVIDIA A100 80GB SXM");
  EXPECT_EQ(shape_of("1xH200"), "1 x 1 NVIDIA H200 141GB SXM");
  EXPECT_EQ(shape_of("6xH200"), "1 x 6 NVIDIA H200 141GB SXM");
  EXPECT_EQ(shape_of("16xH100"), "2 x 8 NVIDIA H100 80GB SXM");
  EXPECT_EQ(shape_of("64xGB200"), "1 x 64 NVIDIA GB200 186GB");
  EXPECT_EQ(shape_of("144xGB200"), "2 x 72 NVIDIA GB200 186GB");
  EXPECT_EQ(config_error_of([] { cluster_from_spec("20xA100"); }),
            "[cluster] 20 x A100 are no whole number of nodes of 8; say both, such as 4x5xA100");
}

TEST(ClusterSpecText, TheNetworkIsThatOfOneNode) {
  const Cluster usual = cluster_from_spec("2x8xA100-40G");
  EXPECT_EQ(usual.node_bandwidth(), gigabytes_per_second(8 * 22));
  EXPECT_FALSE(usual.is_network_given);
  for (const char* spec : {"2x8xA100-40G:25GB/s", "2x8xA100-40G:200Gb/s", "16xA100-40G:25GB/s"}) {
    const Cluster cluster = cluster_from_spec(spec);
    EXPECT_EQ(cluster.node_bandwidth(), gigabytes_per_second(25)) << spec;
    EXPECT_EQ(cluster.network.inter_node.bandwidth_bytes_per_ms, 25e6 / 8) << spec;
    EXPECT_EQ(cluster.network.inter_node.latency_ms, usual.network.inter_node.latency_ms) << spec;
    EXPECT_TRUE(cluster.is_network_given) << spec;
    EXPECT_EQ(cluster.spec.name, spec);
    EXPECT_NE(cluster.provenance().find("Given: network of 25GB/s a node."), std::string::npos)
        << cluster.provenance();
  }
  EXPECT_EQ(cluster_from_spec("4x2xA100:25GB/s").network.inter_node.bandwidth_bytes_per_ms,
            25e6 / 2);
}

// Names win; what both can say is the same but for a link that a single node does not use.
TEST(ClusterSpecText, SaysWhatTheNamedClustersSay) {
  for (const std::string& name : cluster_names()) {
    if (name == "64xA100-100Gb") continue;  // a network card of its own
    OrderedJson named = cluster_to_json(load_cluster(name));
    OrderedJson spec = cluster_to_json(cluster_from_spec(name));
    if (load_cluster(name).spec.num_nodes == 1) {
      named.erase("inter_node");
      spec.erase("inter_node");
    }
    EXPECT_EQ(named, spec) << name;
  }
  EXPECT_EQ(load_cluster("64xA100-100Gb").node_bandwidth(), gigabytes_per_second(8 * 1.4));
}

TEST(ClusterSpecText, RefusesWhatItCannotRead) {
  for (const char* text : {"", "8x", "x8xA100", "0xA100", "2x0xA100", "99999999999xA100", "dgx",
                           "2x8xA100:", ":25GB/s", "1000000x1024xA100", "8"}) {
    const std::string message = config_error_of([&] { cluster_from_spec(text); });
    EXPECT_NE(message.find("[cluster] '" + std::string(text) + "' is neither a named cluster, nor"),
              std::string::npos)
        << text << ": " << message;
    EXPECT_NE(message.find("2x8xA100-40G:25GB/s"), std::string::npos) << message;
  }
  EXPECT_EQ(config_error_of([] { load_cluster("2x8xA100:25"); }),
            "[cluster 2x8xA100:25] '25' is not a bandwidth; write bytes (25GB/s) or bits (200Gb/s) "
            "a second");
  EXPECT_NE(
      config_error_of([] { load_cluster("64xA1000"); }).find("the nearest are A100, A6000, A10"),
      std::string::npos);
  EXPECT_NE(config_error_of([] { load_cluster("H1OO"); }).find("did you mean 'H100'?"),
            std::string::npos);
  // Three counts: the third is no device.
  EXPECT_NE(config_error_of([] { load_cluster("2x2x8xA100"); }).find("the device '8xA100'"),
            std::string::npos);
}

}  // namespace
}  // namespace galvatron::profiles
