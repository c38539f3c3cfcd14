#include "galvatron/profiles/cluster_overrides.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::profiles {
namespace {

Cluster adapt(const std::string& cluster, const std::string& arguments, int world_size = 0) {
  ClusterOverrides overrides;
  cluster_override_options(overrides).read(Json::parse(arguments), "test");
  return adapted(load_cluster(cluster), overrides, world_size);
}

std::string error_of(const std::string& cluster, const std::string& arguments, int world = 0) {
  return config_error_of([&] { adapt(cluster, arguments, world); });
}

TEST(ClusterOverrides, NothingGivenChangesNothing) {
  EXPECT_TRUE(ClusterOverrides{}.given().empty());
  for (const std::string& name : cluster_names()) {
    EXPECT_EQ(cluster_to_json(adapt(name, "{}")), cluster_to_json(load_cluster(name)));
  }
}

TEST(ClusterOverrides, EachTakesTheirPlaceInTheFile) {
  const Cluster cluster = adapt("64xA100", R"({"inter_node": "100Gb/s", "intra_node": "100GB/s",
      "inter_node_latency_us": 5, "intra_node_latency_us": 2, "device_memory": "24GiB",
      "dense_tflops": 200, "matmul_efficiency": 0.7, "memory_bandwidth": "1TB/s",
      "overhead_us": 7, "overlap_slowdown": 1.5})");
  const OrderedJson json = cluster_to_json(cluster);
  EXPECT_EQ(json["inter_node"], (OrderedJson{{"latency_us", 5.0}, {"gb_per_s", 12.5 / 8}}));
  EXPECT_EQ(json["intra_node"], (OrderedJson{{"latency_us", 2.0}, {"gb_per_s", 100.0}}));
  EXPECT_EQ(json["device"]["memory"], "24GiB");
  EXPECT_EQ(json["device"]["dense_tflops"]["bf16"], 200);
  EXPECT_EQ(json["device"]["matmul_efficiency"], 0.7);
  EXPECT_EQ(json["device"]["memory_gb_per_s"], 1000);
  EXPECT_EQ(json["device"]["overhead_us"], 7);
  EXPECT_EQ(json["overlap_slowdown"], 1.5);
  EXPECT_EQ(cluster.given.size(), 10u);
  EXPECT_NE(cluster.provenance().find("Given: --inter-node 12.5GB/s, --intra-node 100GB/s"),
            std::string::npos)
      << cluster.provenance();
  EXPECT_EQ(cluster.given.at(4), "--device-memory 24GiB");
  // The precisions that have a peak stay the same ones.
  EXPECT_EQ(adapt("8xV100-32G", R"({"dense_tflops": 100})").fast_precision(),
            spec::Precision::kFp16);
}

TEST(ClusterOverrides, NodesOfAnotherSizeKeepTheDevicesAndTheirShares) {
  const Cluster cluster = adapt("64xA100", R"({"devices_per_node": 4})");
  EXPECT_EQ(cluster.spec.num_nodes, 16);
  EXPECT_EQ(cluster.spec.devices_per_node, 4);
  EXPECT_EQ(cluster.node_bandwidth(), gigabytes_per_second(4 * 22));
  EXPECT_TRUE(cluster.extrapolated.empty());
  EXPECT_EQ(adapt("64xA100", R"({"devices_per_node": 4, "inter_node": "25GB/s"})").node_bandwidth(),
            gigabytes_per_second(25));
  // A node's network that was given is that of the new nodes.
  EXPECT_EQ(adapt("64xA100:25GB/s", R"({"devices_per_node": 4})").node_bandwidth(),
            gigabytes_per_second(25));
  EXPECT_NE(error_of("64xA100", R"({"devices_per_node": 6})").find("64 devices are no whole"),
            std::string::npos);
}

TEST(ClusterOverrides, MoreNodesOfANetworkThatWasNotGivenAreExtrapolated) {
  EXPECT_EQ(
      adapt("64xA100", "{}", 128).extrapolated,
      std::vector<std::string>{"16 nodes joined by 176 GB/s each: the cluster 64xA100 has 8"});
  EXPECT_EQ(adapt("8xA100", "{}", 64).extrapolated.size(), 1u);
  EXPECT_TRUE(adapt("64xA100", "{}", 16).extrapolated.empty());
  EXPECT_TRUE(adapt("8xA100", R"({"inter_node": "25GB/s"})", 64).extrapolated.empty());
  const Cluster cluster = adapt("8xA100:25GB/s", "{}", 64);
  EXPECT_EQ(cluster.spec.num_nodes, 8);
  EXPECT_EQ(cluster.node_bandwidth(), gigabytes_per_second(25));
  EXPECT_TRUE(cluster.extrapolated.empty());
}

TEST(ClusterOverrides, ContradictionsAreRefused) {
  EXPECT_NE(error_of("8xA100", R"({"inter_node": "25GB/s"})").find("8xA100 is one node of 8"),
            std::string::npos);
  EXPECT_NE(error_of("8xA100:25GB/s", "{}").find("joins nothing"), std::string::npos);
  EXPECT_NE(error_of("64xA100:25GB/s", "{}", 8).find("joins nothing"), std::string::npos);
  EXPECT_EQ(
      error_of("64xA100:25GB/s", R"({"inter_node": "100Gb/s"})"),
      "[cluster] 64xA100:25GB/s and --inter-node 12.5GB/s both say the network of a node; leave "
      "one out");
  EXPECT_NE(error_of("8x1xL4", R"({"intra_node": "20GB/s"})").find("--intra-node joins nothing"),
            std::string::npos);
  EXPECT_EQ(error_of("2x8xRTX4090", R"({"inter_node": "400GB/s"})"),
            "[cluster] 2x8xRTX4090: 400 GB/s a node is 50.0 GB/s a device, more than its link "
            "inside the node (20.0 GB/s); give a smaller --inter-node or a larger --intra-node");
  EXPECT_EQ(error_of("8x1xL4", R"({"inter_node": "25GB/s"})"), "");
}

}  // namespace
}  // namespace galvatron::profiles
