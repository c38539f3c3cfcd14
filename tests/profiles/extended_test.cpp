#include "galvatron/profiles/extended.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::profiles {
namespace {

// 2 us a step and 100 GB/s, all-reduced over `size` ranks.
CollectiveTable measured_table(GroupShape shape) {
  const double latency = 0.002 * tree_steps(Collective::kAllReduce, shape.size);
  const double per_byte = bus_factor(Collective::kAllReduce, shape.size) / 100e6;
  return {Collective::kAllReduce, shape,
          Curve({{1e6, latency + per_byte * 1e6}, {1e8, latency + per_byte * 1e8}})};
}

HardwareProfile measured_node(int ranks = 8) {
  HardwareProfile out;
  out.device = "NVIDIA A100-SXM4-80GB";
  out.world_size = out.ranks_per_node = ranks;
  out.device_memory = gibibytes(78);
  for (int size = 2; size <= ranks; size *= 2) {
    for (int stride = 1; stride * size <= ranks; stride *= 2) {
      out.tables.push_back(measured_table({size, stride}));
    }
  }
  return out;
}

HardwareProfile extend(const HardwareProfile& measured, int world_size,
                       const std::string& cluster = "", const std::string& arguments = "{}") {
  ClusterOverrides overrides;
  cluster_override_options(overrides).read(Json::parse(arguments), "test");
  std::optional<Cluster> known;
  if (!cluster.empty()) known = adapted(load_cluster(cluster), overrides, world_size);
  return extended(measured, world_size, known, overrides);
}

std::string error_of(const HardwareProfile& measured, int world_size,
                     const std::string& cluster = "", const std::string& arguments = "{}") {
  return config_error_of([&] { extend(measured, world_size, cluster, arguments); });
}

Milliseconds all_reduce(const HardwareProfile& profile, GroupShape shape) {
  return profile.group_time(Collective::kAllReduce, shape, mebibytes(64));
}

TEST(Extended, WhatWasMeasuredStaysAsItIs) {
  const HardwareProfile node = measured_node();
  for (const int world : {0, 8, 4}) {
    const HardwareProfile same = extend(node, world);
    EXPECT_EQ(same.world_size, world == 0 ? 8 : world);
    EXPECT_TRUE(same.extrapolated.empty());
    EXPECT_TRUE(same.links.empty());
    EXPECT_EQ(all_reduce(same, {4, 1}), all_reduce(node, {4, 1}));
  }
  EXPECT_TRUE(extend(node, 8, "8xA100").extrapolated.empty());
  EXPECT_TRUE(extend(node, 4, "64xA100").extrapolated.empty());
}

TEST(Extended, MeasuredInsideTheNodeAndLinksAcross) {
  const HardwareProfile node = measured_node();
  const HardwareProfile large = extend(node, 0, "8x8xA100:25GB/s");
  EXPECT_EQ(large.world_size, 64);
  EXPECT_EQ(large.ranks_per_node, 8);
  EXPECT_EQ(large.device_memory, gibibytes(78));
  for (const GroupShape shape : {GroupShape{8, 1}, GroupShape{4, 2}, GroupShape{2, 4}}) {
    EXPECT_EQ(all_reduce(large, shape), all_reduce(node, shape));
  }
  // A ring over all leaves each node once, over the whole of its network.
  const double bytes = static_cast<double>(mebibytes(64).value);
  EXPECT_NEAR(all_reduce(large, {64, 1}).value, 0.015 * 12 + 2.0 * 63 / 64 * bytes / 25e6, 1e-6);
  EXPECT_NEAR(all_reduce(large, {8, 8}).value, 0.015 * 6 + 2.0 * 7 / 8 * bytes / (25e6 / 8), 1e-6);
  EXPECT_EQ(large.extrapolated,
            std::vector<std::string>{"collectives between nodes: from 25.0 GB/s a node (cluster "
                                     "8x8xA100:25GB/s), not measured"});
}

TEST(Extended, ANetworkAloneIsEnough) {
  const HardwareProfile node = measured_node();
  const HardwareProfile given = extend(node, 64, "", R"({"inter_node": "25GB/s"})");
  const HardwareProfile cluster = extend(node, 0, "8x8xA100:25GB/s");
  EXPECT_EQ(given.links, cluster.links);
  EXPECT_EQ(given.extrapolated,
            std::vector<std::string>{
                "collectives between nodes: from 25.0 GB/s a node (as given), not measured"});
  // The link inside is what the tables say of it.
  EXPECT_NEAR(given.links.at("intra_node").bandwidth_bytes_per_ms, 100e6, 1);
  EXPECT_NEAR(given.links.at("intra_node").latency_ms, 0.002, 1e-9);
}

TEST(Extended, APartOfANodeStandsForTheWholeAndSaysSo) {
  const HardwareProfile part = measured_node(4);
  const HardwareProfile node = extend(part, 8, "8xA100");
  EXPECT_EQ(node.ranks_per_node, 8);
  // At the measured bandwidth.
  EXPECT_NEAR(all_reduce(node, {4, 2}).value, all_reduce(node, {4, 1}).value, 1e-9);
  EXPECT_EQ(node.extrapolated,
            std::vector<std::string>{"collectives of more than 4 ranks of a node: at 100 GB/s a "
                                     "rank, as 4 ranks measured"});
  EXPECT_EQ(extend(part, 8, "", R"({"devices_per_node": 8})").extrapolated, node.extrapolated);
  EXPECT_EQ(extend(part, 0, "2x8xA100:25GB/s").extrapolated.size(), 2u);
  // One rank alone measured no link: the sheet's.
  const HardwareProfile one = extend(measured_node(1), 8, "8xA100");
  EXPECT_EQ(one.links.at("intra_node").bandwidth_bytes_per_ms, 240e6);
  EXPECT_EQ(one.extrapolated,
            std::vector<std::string>{"collectives inside a node: from the data sheet of 8xA100"});
}

TEST(Extended, AMeasuredNetworkIsScaledWhereNoOtherIsKnown) {
  HardwareProfile two = measured_node();
  two.world_size = 16;
  two.tables.push_back(measured_table({16, 1}));
  two.tables.push_back(measured_table({2, 8}));
  const HardwareProfile more = extend(two, 32);
  EXPECT_TRUE(more.links.empty());
  EXPECT_GT(all_reduce(more, {32, 1}), all_reduce(two, {16, 1}));
  EXPECT_EQ(more.extrapolated,
            std::vector<std::string>{"collectives of 32 ranks: from those of 16 measured"});
  const HardwareProfile joined = extend(two, 0, "4x8xA100:25GB/s");
  EXPECT_EQ(all_reduce(joined, {16, 1}), all_reduce(two, {16, 1}));
  EXPECT_NE(joined.extrapolated.at(0).find("beyond what 16 ranks measured"), std::string::npos);
  EXPECT_NE(error_of(two, 0, "8x4xA100").find("has 4 on a node"), std::string::npos);
}

TEST(Extended, WhatNobodyKnowsIsRefusedWithTheWayOut) {
  const HardwareProfile node = measured_node();
  EXPECT_EQ(error_of(node, 64),
            "[hardware] the profile was measured on 8 ranks of one node and says nothing of the "
            "network between the 8 nodes of 64 ranks; say it (--inter-node 25GB/s, or --cluster "
            "8x8xDEVICE:25GB/s), say --devices-per-node where a node has more ranks, or measure "
            "there with `galvatron profile-hardware`");
  EXPECT_NE(error_of(node, 12).find("12 ranks are no whole number of nodes of 8"),
            std::string::npos);
  EXPECT_NE(error_of(measured_node(1), 2, "", R"({"devices_per_node": 2})")
                .find("says nothing of the link that joins 2 ranks"),
            std::string::npos);
}

TEST(Extended, ContradictionsAreRefused) {
  const HardwareProfile node = measured_node();
  EXPECT_EQ(error_of(node, 0, "2x4xA100:25GB/s"),
            "[hardware] the profile was measured on 8 ranks of one node, the machine asked for has "
            "4 on a node; say --devices-per-node 8, or measure again on such nodes with `galvatron "
            "profile-hardware`");
  EXPECT_NE(error_of(node, 8, "", R"({"inter_node": "25GB/s"})").find("joins nothing"),
            std::string::npos);
  EXPECT_EQ(error_of(node, 8, "", R"({"matmul_efficiency": 0.5})"),
            "[hardware] --matmul-efficiency 0.5 changes a data sheet, and the profile is measured: "
            "leave it out, or give a --cluster");
}

TEST(Extended, AnotherDeviceIsMarkedAndGivenNumbersWin) {
  HardwareProfile node = measured_node();
  EXPECT_TRUE(extend(node, 8, "8xA100-40G").extrapolated.empty());  // another memory
  EXPECT_EQ(extend(node, 8, "8xH100").extrapolated,
            std::vector<std::string>{"NVIDIA A100-SXM4-80GB for NVIDIA H100 80GB SXM: measured on "
                                     "another device"});
  const HardwareProfile given =
      extend(node, 8, "", R"({"device_memory": "24GiB", "overlap_slowdown": 1.5})");
  EXPECT_EQ(given.device_memory, gibibytes(24));
  EXPECT_EQ(given.overlap_slowdown, 1.5);
  node.device_memory = {};
  EXPECT_EQ(extend(node, 8, "8xA100").device_memory, gibibytes(79));
}

TEST(Extended, TravelsWithTheProfileAsJson) {
  const HardwareProfile large = extend(measured_node(), 0, "8x8xA100:25GB/s");
  const OrderedJson json = hardware_profile_to_json(large);
  const HardwareProfile back = hardware_profile_from_json(Json::parse(json.dump()), "large.json");
  EXPECT_EQ(back.extrapolated, large.extrapolated);
  EXPECT_EQ(back.links, large.links);
  Json wrong = Json::parse(json.dump());
  wrong["extrapolated"] = {1};
  EXPECT_NE(config_error_of([&] {
              hardware_profile_from_json(wrong, "large.json");
            }).find("'extrapolated' holds texts, not 1"),
            std::string::npos);
}

}  // namespace
}  // namespace galvatron::profiles
