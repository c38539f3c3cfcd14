#include "galvatron/plan/rank_layout.h"

#include <algorithm>
#include <functional>
#include <map>

#include <gtest/gtest.h>

namespace galvatron::plan {
namespace {

struct Case {
  int ranks_per_stage;
  LayerStrategy strategy;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const int ranks : {1, 2, 3, 4, 6, 8, 12}) {
    for (int tp = 1; tp <= ranks; ++tp) {
      for (int ulysses = 1; tp * ulysses <= ranks; ++ulysses) {
        if (ranks % (tp * ulysses) != 0) continue;
        LayerStrategy strategy{tp, ulysses};
        cases.push_back({ranks, strategy});
        strategy.tp_consecutive = false;
        if (tp > 1 && tp < ranks) cases.push_back({ranks, strategy});
      }
    }
  }
  return cases;
}

const LayerStrategy kTp2Uly2{2, 2};

TEST(RankLayout, EightRanksOfTwoStages) {
  // Stage 1 of two stages of eight: dp 2 x ulysses 2 x tp 2, tp innermost.
  const RankCoordinates at = coordinates(8 + 7, 8, kTp2Uly2);
  EXPECT_EQ(at.stage, 1);
  EXPECT_EQ(at.dp_rank, 1);
  EXPECT_EQ(at.ulysses_rank, 1);
  EXPECT_EQ(at.tp_rank, 1);
  EXPECT_EQ(at.seq_rank, 3);
  EXPECT_EQ(stage_ranks(1, 8), (RankSet{8, 9, 10, 11, 12, 13, 14, 15}));
  EXPECT_EQ(tp_ranks(13, 8, kTp2Uly2), (RankSet{12, 13}));
  EXPECT_EQ(ulysses_ranks(13, 8, kTp2Uly2), (RankSet{13, 15}));
  EXPECT_EQ(replica_ranks(13, 8, kTp2Uly2, true), (RankSet{9, 11, 13, 15}));
  EXPECT_EQ(replica_ranks(13, 8, kTp2Uly2, false), stage_ranks(1, 8));
}

TEST(RankLayout, EightRanksWithStridedTp) {
  LayerStrategy strategy = kTp2Uly2;
  strategy.tp_consecutive = false;
  EXPECT_EQ(tp_ranks(13, 8, strategy), (RankSet{9, 13}));
  EXPECT_EQ(ulysses_ranks(13, 8, strategy), (RankSet{12, 13}));
  EXPECT_EQ(replica_ranks(13, 8, strategy, true), (RankSet{12, 13, 14, 15}));
  EXPECT_EQ(replica_ranks(13, 8, strategy, false), stage_ranks(1, 8));
  // Sequences in four parts: tensor-parallel ranks 1 and 5 hold the last two.
  const TokenLayout layout = token_layout(strategy, 8);
  EXPECT_EQ(token_rect(layout, 1, 2, 8), (TokenRect{{0, 1}, {4, 6}}));
  EXPECT_EQ(token_rect(layout, 5, 2, 8), (TokenRect{{0, 1}, {6, 8}}));
}

TEST(RankLayout, CoordinatesFollowTheFormula) {
  for (const auto& [ranks, strategy] : all_cases()) {
    for (int rank = 0; rank < 2 * ranks; ++rank) {
      const RankCoordinates at = coordinates(rank, ranks, strategy);
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
  for (const auto& [ranks, strategy] : all_cases()) {
    const auto tp = static_cast<std::size_t>(strategy.tp_degree);
    const auto in_stage = static_cast<std::size_t>(ranks);
    const auto& s = strategy;
    const int n = ranks;
    expect_partition(n, [&](int rank) { return tp_ranks(rank, n, s); }, tp);
    expect_partition(
        n, [&](int rank) { return ulysses_ranks(rank, n, s); },
        static_cast<std::size_t>(s.ulysses_degree));
    expect_partition(n, [&](int rank) { return replica_ranks(rank, n, s, true); }, in_stage / tp);
    expect_partition(n, [&](int rank) { return replica_ranks(rank, n, s, false); }, in_stage);
  }
}

TEST(TokenRects, TileTheMicrobatch) {
  constexpr std::int64_t kSamples = 5;
  constexpr std::int64_t kTokens = 17;
  for (const auto& [ranks, strategy] : all_cases()) {
    const TokenLayout layout = token_layout(strategy, ranks);
    EXPECT_EQ(layout.dp_degree * layout.seq_degree, ranks);
    std::map<std::pair<std::int64_t, std::int64_t>, int> held;
    for (int rank = 0; rank < ranks; ++rank) {
      const TokenRect rect = token_rect(layout, rank, kSamples, kTokens);
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
  for (const auto& [ranks, strategy] : all_cases()) {
    for (int rank = 0; rank < ranks; ++rank) {
      const RankCoordinates at = coordinates(rank, ranks, strategy);
      const TokenLayout layout = token_layout(strategy, ranks);
      const TokenRect rect = token_rect(layout, rank, 9, 31);
      EXPECT_EQ(rect.samples, chunk(9, layout.dp_degree, at.dp_rank));
      EXPECT_EQ(rect.tokens, chunk(31, layout.seq_degree, at.seq_rank));
    }
  }
}

TEST(BlockRect, IsTheUnionOfItsTpRanks) {
  constexpr std::int64_t kTokens = 23;
  for (const auto& [ranks, strategy] : all_cases()) {
    const TokenLayout layout = token_layout(strategy, ranks);
    for (int rank = 0; rank < ranks; ++rank) {
      const TokenRect block = block_rect(strategy, ranks, rank, 3, kTokens);
      const RankSet tp = tp_ranks(rank, ranks, strategy);
      std::int64_t end = block.tokens.begin;
      for (const int member : tp) {
        const TokenRect part = token_rect(layout, member, 3, kTokens);
        EXPECT_EQ(part.samples, block.samples);
        EXPECT_EQ(part.tokens.begin, end) << "the parts lie one behind the other";
        end = part.tokens.end;
      }
      EXPECT_EQ(end, block.tokens.end);
    }
  }
}

TEST(TokenRects, MayBeEmptyWhereSamplesAreFew) {
  EXPECT_TRUE(token_rect({4, 1}, 0, 1, 8).empty());
  EXPECT_FALSE(token_rect({4, 1}, 3, 1, 8).empty());
}

}  // namespace
}  // namespace galvatron::plan
