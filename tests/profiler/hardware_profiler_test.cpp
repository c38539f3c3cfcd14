// The hardware profile of ranks as threads: what must hold of any measurement. Nothing is compared
// with a clock.
#include "galvatron/profiler/hardware_profiler.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/profiler/collective_bench.h"
#include "galvatron/profiler/profile_tables.h"
#include "galvatron/profiler/stopwatch.h"

namespace galvatron::profiler {
namespace {

using profiles::Collective;
using profiles::GroupShape;

TEST(GroupShapes, AreEveryDivisorWithEveryStrideThatFits) {
  const std::vector<GroupShape> of_eight = {{2, 1}, {2, 2}, {2, 4}, {4, 1}, {4, 2}, {8, 1}};
  EXPECT_EQ(group_shapes(8), of_eight);
  const std::vector<GroupShape> of_six = {{2, 1}, {2, 3}, {3, 1}, {3, 2}, {6, 1}};
  EXPECT_EQ(group_shapes(6), of_six);
  EXPECT_TRUE(group_shapes(1).empty());
}

TEST(GroupShapes, GroupsOfAShapeCoverEveryRankOnce) {
  for (const int world_size : {6, 8, 12}) {
    for (const GroupShape shape : group_shapes(world_size)) {
      std::set<std::vector<int>> groups;
      for (int rank = 0; rank < world_size; ++rank) {
        const std::vector<int> ranks = group_ranks(shape, rank);
        EXPECT_TRUE(std::find(ranks.begin(), ranks.end(), rank) != ranks.end());
        EXPECT_EQ(ranks[1] - ranks[0], shape.stride);
        groups.insert(ranks);
      }
      EXPECT_EQ(static_cast<int>(groups.size()), world_size / shape.size);
    }
  }
}

TEST(PairShapes, AreTheBordersOfEveryPipeline) {
  EXPECT_EQ(pair_shapes(6), (std::vector<GroupShape>{{2, 1}, {2, 2}, {2, 3}}));
  EXPECT_EQ(pair_shapes(3), (std::vector<GroupShape>{{2, 1}}));
  EXPECT_EQ(group_ranks({2, 2}, 3), (std::vector<int>{1, 3}));
  EXPECT_EQ(group_ranks({2, 1}, 2), (std::vector<int>{2, 3}));  // beyond a world of three
}

TEST(MessageSizes, AscendToTheLargest) {
  const std::vector<Bytes> sizes = message_sizes(mebibytes(1));
  EXPECT_EQ(sizes, (std::vector<Bytes>{kibibytes(1), kibibytes(8), kibibytes(64), kibibytes(512),
                                       mebibytes(1)}));
  EXPECT_EQ(message_sizes(Bytes{1}).size(), 1U);
}

TEST(Stopwatch, MedianAndSpread) {
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_DOUBLE_EQ(lower_quartile({5, 1, 2, 4, 3}), 2);
  EXPECT_DOUBLE_EQ(relative_spread({7, 7, 7}), 0);
  EXPECT_GT(relative_spread({1, 2, 3, 4}), 0.1);
}

TEST(Stopwatch, TrimmedMeanForgetsASingleAccident) {
  std::vector<double> values(20, 2);
  values[7] = 1000;
  values[11] = -1000;
  EXPECT_DOUBLE_EQ(trimmed_mean(values), 2);
  values[3] = 4;  // happens now and then
  EXPECT_DOUBLE_EQ(trimmed_mean(values), 2 + 2.0 / 18);
  EXPECT_DOUBLE_EQ(trimmed_mean({1, 2, 6}), 3);
}

TEST(Stopwatch, MeasuresAtLeastTheSmallestNumberOfTimes) {
  int calls = 0;
  const double value = measure_until_stable([&] { return static_cast<double>(++calls); },
                                            {.min = 4, .max = 9}, Deadline(-1));
  EXPECT_EQ(calls, 4);
  EXPECT_DOUBLE_EQ(value, 2.5);
}

profiles::HardwareProfile measure(int world_size, int ranks_per_node = 0) {
  profiles::HardwareProfile out;
  comm::run_rank_threads(world_size, [&](comm::World& world) {
    HardwareProfileOptions options;
    options.max_bytes = kibibytes(64);
    options.seconds = 1;
    options.ranks_per_node = ranks_per_node;
    options.rounds = 0.05;
    const profiles::HardwareProfile mine = profile_hardware(world, options);
    if (world.rank() == 0) out = mine;
  });
  return out;
}

TEST(ProfileHardware, MeasuresEveryCollectiveOnEveryShape) {
  const profiles::HardwareProfile profile = measure(4);
  EXPECT_EQ(profile.world_size, 4);
  EXPECT_EQ(profile.ranks_per_node, 4);
  EXPECT_GT(profile.device_memory.value, 0);
  EXPECT_GT(profile.optimizer_ns_per_element, 0);
  EXPECT_EQ(1 + profile.other_optimizers_ns.size(), spec::optimizers().size());
  for (const auto& [name, ns] : profile.other_optimizers_ns) EXPECT_GT(ns, 0) << name;
  EXPECT_GE(profile.overlap_slowdown, 1);
  ASSERT_EQ(profile.overlaps.size(), 3U);
  for (const profiles::MeasuredOverlap& one : profile.overlaps) {
    EXPECT_FALSE(one.crosses_nodes);
    EXPECT_GE(one.overlap.compute, 1);
    EXPECT_GE(one.overlap.communication, 1);
    EXPECT_LE(std::max(one.overlap.compute, one.overlap.communication), 8);
  }
  // Shapes {2,1}, {2,2}, {4,1}: four collectives each, and point to point on the pairs.
  EXPECT_EQ(profile.tables.size(), 3U * 4 + 2);
  for (const profiles::CollectiveTable& table : profile.tables) {
    SCOPED_TRACE(profiles::to_text(table.collective) + " on " + std::to_string(table.shape.size));
    ASSERT_FALSE(table.curve.points().empty());
    for (const profiles::CurvePoint& point : table.curve.points()) EXPECT_GT(point.y, 0);
    EXPECT_GE(profile.group_time(table.collective, table.shape, mebibytes(8)),
              profile.group_time(table.collective, table.shape, kibibytes(8)));
  }
}

// With no time at all, too.
TEST(ProfileHardware, EveryCurveHasALargeMessage) {
  comm::run_rank_threads(2, [&](comm::World& world) {
    CollectiveBench bench(world);
    for (const Collective collective :
         {Collective::kAllReduce, Collective::kAllGather, Collective::kReduceScatter,
          Collective::kAllToAll, Collective::kPointToPoint}) {
      const auto table = bench.measure({{collective, {2, 1}}}, mebibytes(64), /*seconds=*/0)[0];
      EXPECT_GE(table.curve.points().size(), 4U);
      EXPECT_GE(table.curve.points().back().x, 2.0 * 1024 * 1024);
    }
  });
}

// Three stages of one rank: the last has no partner while pairs are measured.
TEST(ProfileHardware, MeasuresPairsOfAnOddWorld) {
  const profiles::HardwareProfile profile = measure(3);
  EXPECT_EQ(profile.tables.size(), 4U + 1);
  EXPECT_GT(profile.group_time(Collective::kPointToPoint, {2, 1}, kibibytes(8)).value, 0);
}

TEST(ProfileHardware, ContentionStartsAtOneAndNeverFalls) {
  const profiles::HardwareProfile profile = measure(4, /*ranks_per_node=*/2);
  ASSERT_EQ(profile.contention.size(), 2U);
  EXPECT_EQ(profile.contention[0], (profiles::ContentionPoint{1, 1}));
  EXPECT_EQ(profile.contention[1].ranks, 2);
  EXPECT_GE(profile.contention[1].slowdown, 1);
  // Three collectives inside the machines and between them.
  EXPECT_EQ(profile.overlaps.size(), 6U);
  EXPECT_TRUE(profile.overlaps.back().crosses_nodes);
}

TEST(ProfileHardware, SurvivesItsJson) {
  const profiles::HardwareProfile profile = measure(2);
  const std::string text = profiles::hardware_profile_to_json(profile).dump();
  const profiles::HardwareProfile again =
      profiles::hardware_profile_from_json(parse_json(text, "test"), "test");
  EXPECT_EQ(again.provenance, profile.provenance);
  EXPECT_NE(again.provenance.versions.at("torch"), "");
  EXPECT_EQ(again.device, profile.device);
  EXPECT_EQ(again.contention, profile.contention);
  EXPECT_EQ(again.overlaps, profile.overlaps);
  EXPECT_EQ(again.memory_reserve, profile.memory_reserve);
  EXPECT_EQ(again.optimizer_ns_per_element, profile.optimizer_ns_per_element);
  EXPECT_EQ(again.other_optimizers_ns, profile.other_optimizers_ns);
  ASSERT_EQ(again.tables.size(), profile.tables.size());
  for (std::size_t i = 0; i < again.tables.size(); ++i) {
    EXPECT_EQ(again.tables[i].curve.points(), profile.tables[i].curve.points());
  }
  EXPECT_NE(hardware_table(again).find("all_reduce"), std::string::npos);
}

TEST(ProfileHardware, OfOneRankHasNoCollectives) {
  const profiles::HardwareProfile profile = measure(1);
  EXPECT_TRUE(profile.tables.empty());
  EXPECT_EQ(profile.contention.size(), 1U);
  EXPECT_EQ(profile.overlap_slowdown, 1);
  EXPECT_TRUE(profile.overlaps.empty());
}

}  // namespace
}  // namespace galvatron::profiler
