#include "galvatron/spec/param_spec.h"

#include <gtest/gtest.h>

#include "galvatron/base/error.h"

namespace galvatron::spec {
namespace {

using Ranges = std::vector<Range>;
using Shape = std::vector<std::int64_t>;

// Four query heads and two key/value heads of size 8.
ParamSpec qkv_weight() {
  ParamSpec param;
  param.name = "attention.qkv.weight";
  param.shape = {64, 10};
  param.split = {0, {32, 16, 16}, 8};
  return param;
}

TEST(LocalRanges, TakeARanksHeadsFromEverySegment) {
  EXPECT_EQ(local_ranges(qkv_weight(), 2, 0), (Ranges{{0, 16}, {32, 40}, {48, 56}}));
  EXPECT_EQ(local_ranges(qkv_weight(), 2, 1), (Ranges{{16, 32}, {40, 48}, {56, 64}}));
  EXPECT_EQ(local_shape(qkv_weight(), 2, 1), (Shape{32, 10}));
}

TEST(LocalRanges, OfOneRankAreEverySegmentWhole) {
  EXPECT_EQ(local_ranges(qkv_weight(), 1, 0), (Ranges{{0, 32}, {32, 48}, {48, 64}}));
  EXPECT_EQ(local_numel(qkv_weight(), 1, 0), 640);
}

TEST(LocalRanges, OfAnUndividedParameterAreTheWhole) {
  ParamSpec norm;
  norm.shape = {10};
  EXPECT_EQ(local_ranges(norm, 4, 3), (Ranges{{0, 10}}));
  EXPECT_EQ(local_numel(norm, 4, 3), 10);
  EXPECT_EQ(largest_local_numel(norm, 4), 10);
}

TEST(LocalRanges, AnUnevenVocabularyIsSpreadByBalancedChunks) {
  ParamSpec tokens;
  tokens.shape = {10, 3};
  tokens.split = {0, {10}, 1};
  EXPECT_EQ(local_shape(tokens, 4, 0), (Shape{2, 3}));
  EXPECT_EQ(local_shape(tokens, 4, 1), (Shape{3, 3}));
  EXPECT_EQ(largest_local_numel(tokens, 4), 9);
}

TEST(LocalRanges, DivideTheSecondDimensionToo) {
  ParamSpec down;
  down.shape = {3, 10};
  down.split = {1, {10}, 1};
  EXPECT_EQ(local_ranges(down, 3, 1), (Ranges{{3, 6}}));
  EXPECT_EQ(local_shape(down, 3, 1), (Shape{3, 3}));
}

TEST(LocalRanges, OfAllRanksHoldEveryElementOnce) {
  ParamSpec gate_up;
  gate_up.shape = {26, 2};
  gate_up.split = {0, {13, 13}, 1};
  for (const ParamSpec& param : {qkv_weight(), gate_up}) {
    for (int degree = 1; degree <= 7; ++degree) {
      std::vector<int> held(static_cast<std::size_t>(param.shape[0]), 0);
      std::int64_t total = 0;
      for (int rank = 0; rank < degree; ++rank) {
        total += local_numel(param, degree, rank);
        for (const Range& range : local_ranges(param, degree, rank)) {
          for (auto i = range.begin; i < range.end; ++i) ++held[static_cast<std::size_t>(i)];
        }
      }
      EXPECT_EQ(total, param.numel());
      EXPECT_EQ(held, std::vector<int>(held.size(), 1)) << param.name << " degree " << degree;
    }
  }
}

TEST(LocalRanges, RefusesARankThatDoesNotExist) {
  EXPECT_THROW(local_ranges(qkv_weight(), 2, 2), InternalError);
}

}  // namespace
}  // namespace galvatron::spec
