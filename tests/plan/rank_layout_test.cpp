#include "galvatron/plan/rank_layout.h"

#include <algorithm>
#include <functional>
#include <map>

#include <gtest/gtest.h>

namespace galvatron::plan {
namespace {

std::vector<RankLayout> all_layouts() {
  std::vector<RankLayout> layouts;
  for (const int ranks : {1, 2, 3, 4, 6, 8, 12}) {
    for (int tp = 1; tp <= ranks; ++tp) {
      for (int ulysses = 1; tp * ulysses <= ranks; ++ulysses) {
        if (ranks % (tp * ulysses) != 0) continue;
        LayerStrategy strategy{tp, ulysses};
        layouts.push_back({strategy, ranks});
        strategy.tp_consecutive = false;
        if (tp > 1 && tp < ranks) layouts.push_back({strategy, ranks});
      }
    }
  }
  return layouts;
}

const RankLayout kTp2Uly2({2, 2}, 8);

TEST(RankLayout, EightRanksOfTwoStages) {
  // Stage 1 of two stages of eight: dp 2 x ulysses 2 x tp 2, tp innermost.
  const RankCoordinates at = kTp2Uly2.coordinates(8 + 7);
  EXPECT_EQ(at.stage, 1);
  EXPECT_EQ(at.dp_rank, 1);
  EXPECT_EQ(at.ulysses_rank, 1);
  EXPECT_EQ(at.tp_rank, 1);
  EXPECT_EQ(at.seq_rank, 3);
  EXPECT_EQ(kTp2Uly2.tp_ranks(13), (RankSet{12, 13}));
  EXPECT_EQ(kTp2Uly2.ulysses_ranks(13), (RankSet{13, 15}));
  EXPECT_EQ(kTp2Uly2.replica_ranks(13, true), (RankSet{9, 11, 13, 15}));
  EXPECT_EQ(kTp2Uly2.replica_ranks(13, false), (RankSet{8, 9, 10, 11, 12, 13, 14, 15}));
}

TEST(RankLayout, EightRanksWithStridedTp) {
  LayerStrategy strategy = kTp2Uly2.strategy();
  strategy.tp_consecutive = false;
  const RankLayout layout(strategy, 8);
  EXPECT_EQ(layout.tp_ranks(13), (RankSet{9, 13}));
  EXPECT_EQ(layout.ulysses_ranks(13), (RankSet{12, 13}));
  EXPECT_EQ(layout.replica_ranks(13, true), (RankSet{12, 13, 14, 15}));
  EXPECT_EQ(layout.replica_ranks(13, false), (RankSet{8, 9, 10, 11, 12, 13, 14, 15}));
  // Sequences in four parts: tensor-parallel ranks 1 and 5 hold the last two.
  EXPECT_EQ(layout.token_rect(1, 2, 8), (TokenRect{{0, 1}, {4, 6}}));
  EXPECT_EQ(layout.token_rect(5, 2, 8), (TokenRect{{0, 1}, {6, 8}}));
}

TEST(RankLayout, CoordinatesFollowTheFormula) {
  for (const RankLayout& layout : all_layouts()) {
    const LayerStrategy& strategy = layout.strategy();
    const int ranks = layout.ranks_per_stage();
    for (int rank = 0; rank < 2 * ranks; ++rank) {
      const RankCoordinates at = layout.coordinates(rank);
      const int replica = at.dp_rank * strategy.ulysses_degree + at.ulysses_rank;
      const int in_stage = strategy.tp_consecutive
                               ? replica * strategy.tp_degree + at.tp_rank
                               : at.tp_rank * (ranks / strategy.tp_degree) + replica;
      EXPECT_EQ(at.stage * ranks + in_stage, rank);
      EXPECT_LT(at.tp_rank, strategy.tp_degree);
      EXPECT_LT(at.ulysses_rank, strategy.ulysses_degree);
      EXPECT_LT(at.dp_rank, ranks / strategy.seq_degree());
    }
  }
}

// Every rank is in the set that it names, and all members name the same set.
void expect_partition(int ranks, const std::function<RankSet(int)>& set_of, std::size_t size) {
  for (int rank = ranks; rank < 2 * ranks; ++rank) {
    const RankSet set = set_of(rank);
    EXPECT_EQ(set.size(), size);
    EXPECT_TRUE(std::is_sorted(set.begin(), set.end()));
    EXPECT_EQ(std::count(set.begin(), set.end(), rank), 1);
    for (const int member : set) EXPECT_EQ(set_of(member), set);
  }
}

TEST(RankLayout, GroupsPartitionTheStage) {
  for (const RankLayout& layout : all_layouts()) {
    const auto tp = static_cast<std::size_t>(layout.strategy().tp_degree);
    const auto ulysses = static_cast<std::size_t>(layout.strategy().ulysses_degree);
    const int n = layout.ranks_per_stage();
    const auto in_stage = static_cast<std::size_t>(n);
    expect_partition(n, [&](int rank) { return layout.tp_ranks(rank); }, tp);
    expect_partition(n, [&](int rank) { return layout.ulysses_ranks(rank); }, ulysses);
    expect_partition(n, [&](int rank) { return layout.replica_ranks(rank, true); }, in_stage / tp);
    expect_partition(n, [&](int rank) { return layout.replica_ranks(rank, false); }, in_stage);
  }
}

TEST(TokenRects, TileTheMicrobatch) {
  constexpr std::int64_t kSamples = 5;
  constexpr std::int64_t kTokens = 17;
  for (const RankLayout& layout : all_layouts()) {
    const int ranks = layout.ranks_per_stage();
    EXPECT_EQ(layout.tokens().dp_degree * layout.tokens().seq_degree, ranks);
    std::map<std::pair<std::int64_t, std::int64_t>, int> held;
    for (int rank = 0; rank < ranks; ++rank) {
      const TokenRect rect = layout.token_rect(rank, kSamples, kTokens);
      for (auto sample = rect.samples.begin; sample < rect.samples.end; ++sample) {
        for (auto token = rect.tokens.begin; token < rect.tokens.end; ++token) {
          ++held[{sample, token}];
        }
      }
    }
    EXPECT_EQ(held.size(), static_cast<std::size_t>(kSamples * kTokens));
    for (const auto& [token, times] : held) EXPECT_EQ(times, 1);
  }
}

TEST(TokenRects, AgreeWithTheCoordinates) {
  for (const RankLayout& layout : all_layouts()) {
    for (int rank = 0; rank < layout.ranks_per_stage(); ++rank) {
      const RankCoordinates at = layout.coordinates(rank);
      const TokenRect rect = layout.token_rect(rank, 9, 31);
      EXPECT_EQ(rect.samples, chunk(9, layout.dp_degree(), at.dp_rank));
      EXPECT_EQ(rect.tokens, chunk(31, layout.strategy().seq_degree(), at.seq_rank));
    }
  }
}

TEST(BlockRect, IsTheUnionOfItsTpRanks) {
  constexpr std::int64_t kTokens = 23;
  for (const RankLayout& layout : all_layouts()) {
    for (int rank = 0; rank < layout.ranks_per_stage(); ++rank) {
      const TokenRect block = layout.block_rect(rank, 3, kTokens);
      const RankSet tp = layout.tp_ranks(rank);
      std::int64_t end = block.tokens.begin;
      for (const int member : tp) {
        const TokenRect part = layout.token_rect(member, 3, kTokens);
        EXPECT_EQ(part.samples, block.samples);
        EXPECT_EQ(part.tokens.begin, end) << "the parts lie one behind the other";
        end = part.tokens.end;
      }
      EXPECT_EQ(end, block.tokens.end);
    }
  }
}

TEST(TokenRects, MayBeEmptyWhereSamplesAreFew) {
  EXPECT_TRUE(TokenLayout({4, 1}).rect(0, 1, 8).empty());
  EXPECT_FALSE(TokenLayout({4, 1}).rect(3, 1, 8).empty());
}

}  // namespace
}  // namespace galvatron::plan
