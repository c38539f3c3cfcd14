#include "galvatron/base/partition.h"

#include <gtest/gtest.h>

namespace galvatron {
namespace {

TEST(Chunk, CoversTheWholeInOrderWithSizesThatDifferByOne) {
  for (std::int64_t count = 0; count <= 40; ++count) {
    for (std::int64_t parts = 1; parts <= 12; ++parts) {
      std::int64_t end = 0;
      for (std::int64_t i = 0; i < parts; ++i) {
        const Range part = chunk(count, parts, i);
        EXPECT_EQ(part.begin, end);
        EXPECT_GE(part.size(), count / parts);
        EXPECT_LE(part.size(), largest_chunk(count, parts));
        end = part.end;
      }
      EXPECT_EQ(end, count);
    }
  }
}

TEST(Chunk, PartsNest) {
  for (std::int64_t count : {1, 7, 50, 509, 50257}) {
    for (std::int64_t outer : {1, 2, 3, 5}) {
      for (std::int64_t inner : {1, 2, 3, 4}) {
        for (std::int64_t i = 0; i < outer; ++i) {
          const Range whole = chunk(count, outer, i);
          EXPECT_EQ(chunk(count, outer * inner, i * inner).begin, whole.begin);
          EXPECT_EQ(chunk(count, outer * inner, i * inner + inner - 1).end, whole.end);
        }
      }
    }
  }
}

TEST(RangeValue, IntersectsAndMayBeEmpty) {
  EXPECT_EQ(intersect({0, 5}, {3, 9}), (Range{3, 5}));
  EXPECT_TRUE(intersect({0, 3}, {3, 9}).empty());
  EXPECT_EQ(intersect({0, 2}, {6, 9}).size(), 0);
}

TEST(Divisors, AreAscendingAndComplete) {
  EXPECT_EQ(divisors(1), (std::vector<std::int64_t>{1}));
  EXPECT_EQ(divisors(12), (std::vector<std::int64_t>{1, 2, 3, 4, 6, 12}));
  EXPECT_EQ(divisors(49), (std::vector<std::int64_t>{1, 7, 49}));
}

TEST(RoundUp, GoesToTheNextMultiple) {
  EXPECT_EQ(round_up(0, 8), 0);
  EXPECT_EQ(round_up(1, 8), 8);
  EXPECT_EQ(round_up(16, 8), 16);
}

}  // namespace
}  // namespace galvatron
