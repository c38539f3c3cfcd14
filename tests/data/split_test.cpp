#include "galvatron/data/split.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::data {
namespace {

using Parts = std::array<Range, 3>;

TEST(ParseSplit, FillsMissingWeightsWithZero) {
  EXPECT_EQ(parse_split("969,30,1"), (SplitWeights{969, 30, 1}));
  EXPECT_EQ(parse_split("0.9,0.1"), (SplitWeights{0.9, 0.1, 0}));
  EXPECT_EQ(parse_split("1"), (SplitWeights{1, 0, 0}));
}

TEST(ParseSplit, RefusesWhatIsNoSplit) {
  for (const char* text :
       {"", ",", "1,", "1,2,3,4", "a,b", "1;2", "-1,2", "0,0,0", "nan", "inf,1", "1e308,1e308"}) {
    EXPECT_NE(config_error_of([&] { parse_split(text); }).find("is no split"), std::string::npos)
        << text;
  }
}

TEST(SplitRanges, FollowsMegatronsRounding) {
  EXPECT_EQ(split_ranges(1000, {969, 30, 1}), (Parts{Range{0, 969}, {969, 999}, {999, 1000}}));
  // 0.969 * 100 = 96.9 -> 97, 3 -> 3, 0.1 -> 0.
  EXPECT_EQ(split_ranges(100, {969, 30, 1}), (Parts{Range{0, 97}, {97, 100}, {100, 100}}));
  // Shares 1.5, 1.5 round half to even to 2 + 2, one too many: every border moves down by one.
  EXPECT_EQ(split_ranges(3, {1, 1, 0}), (Parts{Range{0, 1}, {1, 3}, {3, 3}}));
}

TEST(SplitRanges, AlwaysCoversEverythingOnce) {
  for (const SplitWeights& weights :
       {SplitWeights{969, 30, 1}, {1, 1, 1}, {0, 0, 1}, {1, 0, 1}, {0.3, 0.3, 0.4}}) {
    for (std::int64_t count = 0; count < 200; ++count) {
      const Parts parts = split_ranges(count, weights);
      EXPECT_EQ(parts[0].begin, 0);
      EXPECT_EQ(parts[2].end, count);
      for (int i = 0; i < 3; ++i) EXPECT_LE(parts[i].begin, parts[i].end) << count;
      EXPECT_EQ(parts[0].end, parts[1].begin);
      EXPECT_EQ(parts[1].end, parts[2].begin);
    }
  }
}

}  // namespace
}  // namespace galvatron::data
