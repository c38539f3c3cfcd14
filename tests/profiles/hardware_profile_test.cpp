#include "galvatron/profiles/hardware_profile.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::profiles {
namespace {

CollectiveTable table(Collective collective, GroupShape shape, double latency, double per_byte) {
  return {collective, shape,
          Curve({{1000, latency + per_byte * 1000}, {100000, latency + per_byte * 100000}})};
}

HardwareProfile measured() {
  HardwareProfile out;
  out.world_size = 8;
  out.ranks_per_node = 8;
  out.tables = {table(Collective::kAllReduce, {4, 1}, 3, 0.001),
                table(Collective::kAllReduce, {8, 1}, 7, 0.002),
                table(Collective::kAllReduce, {4, 2}, 5, 0.004)};
  return out;
}

TEST(HardwareProfile, ReadsTheCurveOfTheShape) {
  const HardwareProfile profile = measured();
  EXPECT_NEAR(profile.group_time(Collective::kAllReduce, {4, 1}, Bytes{1000}).value, 4, 1e-9);
  EXPECT_NEAR(profile.group_time(Collective::kAllReduce, {4, 2}, Bytes{1000}).value, 9, 1e-9);
  EXPECT_NEAR(profile.group_time(Collective::kAllReduce, {8, 1}, Bytes{200000}).value, 407, 1e-6);
}

TEST(HardwareProfile, GroupsOfOneAndNothingAreFree) {
  const HardwareProfile profile = measured();
  EXPECT_EQ(profile.group_time(Collective::kAllReduce, {1, 1}, Bytes{1000}).value, 0);
  EXPECT_EQ(profile.group_time(Collective::kAllToAll, {1, 4}, Bytes{1000}).value, 0);
  EXPECT_EQ(profile.group_time(Collective::kAllReduce, {4, 1}, Bytes{0}).value, 0);
}

TEST(HardwareProfile, MissingShapeIsTheNearestOneScaled) {
  const HardwareProfile profile = measured();
  // 6 is nearer to 8 than to 4: 10 of 14 ring messages, (2 * 5 / 6) / (2 * 7 / 8) of the traffic.
  const double expected = 7 * (10.0 / 14) + 0.002 * 1000 * (5.0 / 6) / (7.0 / 8);
  EXPECT_NEAR(profile.group_time(Collective::kAllReduce, {6, 1}, Bytes{1000}).value, expected,
              1e-9);
  // Of two tables as near in size the one of nearer stride.
  EXPECT_NEAR(profile.group_time(Collective::kAllReduce, {4, 4}, Bytes{1000}).value, 9, 1e-9);
}

TEST(HardwareProfile, PrefersATableOnTheSameSideOfTheNodeBorder) {
  HardwareProfile profile = measured();
  profile.world_size = 16;
  profile.tables.push_back(table(Collective::kAllReduce, {2, 8}, 50, 0.1));
  // {4, 4} spans 13 ranks: across nodes of 8, as {2, 8} does.
  EXPECT_TRUE(profile.crosses_nodes({4, 4}));
  EXPECT_FALSE(profile.crosses_nodes({4, 2}));
  EXPECT_GT(profile.group_time(Collective::kAllReduce, {4, 4}, Bytes{1000}).value, 100);
}

TEST(HardwareProfile, SaysWhatWasNeverMeasured) {
  const HardwareProfile profile = measured();
  const std::string message =
      config_error_of([&] { profile.group_time(Collective::kAllToAll, {4, 1}, Bytes{8}); });
  EXPECT_NE(message.find("all_to_all"), std::string::npos) << message;
  EXPECT_NE(message.find("4 ranks"), std::string::npos) << message;
}

HardwareProfile data_sheet() {
  HardwareProfile out;
  out.world_size = 64;
  out.ranks_per_node = 8;
  out.links = {{"intra_node", {0.01, 1000}}, {"inter_node", {0.1, 50}}};
  return out;
}

TEST(HardwareProfile, LinksInsideANode) {
  // 2 * log2(8) messages, 2 * 7 / 8 of the bytes.
  EXPECT_NEAR(data_sheet().group_time(Collective::kAllReduce, {8, 1}, Bytes{8000}).value, 0.06 + 14,
              1e-9);
  EXPECT_NEAR(data_sheet().group_time(Collective::kAllGather, {3, 1}, Bytes{3000}).value,
              0.01 + 2 * 0.425 * 0.01 + 2, 1e-9);  // a ring of two steps
}

TEST(HardwareProfile, ARingAcrossNodesUsesTheNetworkShareOfItsMembers) {
  // {64, 1}: 8 members on a node share 8 * 50 bytes/ms; {8, 8}: one member, 50 bytes/ms.
  EXPECT_NEAR(data_sheet().group_time(Collective::kAllGather, {64, 1}, Bytes{6400}).value,
              0.1 + 7 * 0.93 * 0.1 + 56 * 0.425 * 0.01 + 6300.0 / 400, 1e-9);
  EXPECT_NEAR(data_sheet().group_time(Collective::kAllGather, {8, 8}, Bytes{800}).value,
              0.1 + 7 * 0.93 * 0.1 + 700.0 / 50, 1e-9);
  // Few bytes go by the protocol of shorter steps and a quarter of the bandwidth.
  EXPECT_NEAR(data_sheet().group_time(Collective::kAllGather, {8, 8}, Bytes{8}).value,
              0.1 + 7 * 0.18 * 0.1 + 4 * 7.0 / 50, 1e-9);
  EXPECT_NEAR(data_sheet().group_time(Collective::kPointToPoint, {2, 8}, Bytes{500}).value,
              0.1 + 10, 1e-9);
}

TEST(HardwareProfile, AllToAllAcrossNodesIsBoundByTheNetwork) {
  // 16 ranks on 2 nodes: 8/16 of the bytes over the network, 7/16 inside.
  EXPECT_NEAR(data_sheet().group_time(Collective::kAllToAll, {16, 1}, Bytes{1600}).value,
              0.4 + 800.0 / 50 + 700.0 / 1000, 1e-9);
}

TEST(HardwareProfile, ContentionIsInterpolatedAndGrowsInProportionBeyond) {
  HardwareProfile profile;
  EXPECT_EQ(profile.compute_slowdown(8), 1);
  profile.contention = {{1, 1}, {2, 1.1}, {4, 2}, {8, 4}};
  EXPECT_DOUBLE_EQ(profile.compute_slowdown(1), 1);
  EXPECT_DOUBLE_EQ(profile.compute_slowdown(3), 1.55);
  EXPECT_DOUBLE_EQ(profile.compute_slowdown(8), 4);
  EXPECT_DOUBLE_EQ(profile.compute_slowdown(16), 8);
}

TEST(BusFactor, IsNcclTests) {
  EXPECT_DOUBLE_EQ(bus_factor(Collective::kAllReduce, 4), 1.5);
  EXPECT_DOUBLE_EQ(bus_factor(Collective::kReduceScatter, 4), 0.75);
  EXPECT_DOUBLE_EQ(bus_factor(Collective::kPointToPoint, 2), 1);
}

TEST(HardwareProfile, CountsNodesThatAreNotFullToo) {
  HardwareProfile profile;
  profile.ranks_per_node = 8;
  const auto nodes_of = [&](int world_size) {
    profile.world_size = world_size;
    return std::pair(profile.num_nodes(), profile.ranks_on_node());
  };
  EXPECT_EQ(nodes_of(4), std::pair(1, 4));
  EXPECT_EQ(nodes_of(8), std::pair(1, 8));
  EXPECT_EQ(nodes_of(20), std::pair(3, 8));
}

}  // namespace
}  // namespace galvatron::profiles
