#include "galvatron/data/permutation.h"

#include <cmath>
#include <map>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"

namespace galvatron::data {
namespace {

std::vector<std::int64_t> values_of(std::int64_t size, std::uint64_t key) {
  const Permutation order(size, key);
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < size; ++i) values.push_back(order(i));
  return values;
}

TEST(Permutation, VisitsEveryPlaceOnce) {
  for (const std::int64_t size : {1, 2, 3, 4, 5, 16, 17, 63, 64, 65, 1000, 4097}) {
    for (const std::uint64_t key : {0, 1, 77}) {
      const auto values = values_of(size, key);
      const std::set<std::int64_t> places(values.begin(), values.end());
      EXPECT_EQ(static_cast<std::int64_t>(places.size()), size) << "key " << key;
      EXPECT_EQ(*places.begin(), 0);
      EXPECT_EQ(*places.rbegin(), size - 1);
    }
  }
}

TEST(Permutation, IsTheSameOnEveryMachine) {
  // Recorded: a run that resumes elsewhere must see the same order.
  EXPECT_EQ(values_of(8, 1), (std::vector<std::int64_t>{7, 2, 3, 4, 5, 0, 1, 6}));
}

TEST(Permutation, ReachesEveryOrderOfThreeEquallyOften) {
  std::map<std::vector<std::int64_t>, int> seen;
  constexpr int kKeys = 6000;
  for (std::uint64_t key = 0; key < kKeys; ++key) ++seen[values_of(3, key)];
  ASSERT_EQ(seen.size(), 6u);
  // 1000 expected, standard deviation 29: five of them.
  for (const auto& [order, count] : seen) EXPECT_NEAR(count, kKeys / 6, 145);
}

TEST(Permutation, LeavesNoPatternInLargeOrders) {
  constexpr std::int64_t kSize = 100000;
  const auto values = values_of(kSize, 5);
  double correlation = 0;  // of place and value, and of neighbours
  double neighbours = 0;
  const double middle = (kSize - 1) / 2.0;
  for (std::int64_t i = 0; i < kSize; ++i) {
    correlation += (static_cast<double>(i) - middle) * (static_cast<double>(values[i]) - middle);
    neighbours += (static_cast<double>(values[i]) - middle) *
                  (static_cast<double>(values[(i + 1) % kSize]) - middle);
  }
  const double variance = static_cast<double>(kSize) * kSize * kSize / 12.0;
  // Five standard deviations of a random order.
  EXPECT_LT(std::abs(correlation / variance), 5 / std::sqrt(kSize));
  EXPECT_LT(std::abs(neighbours / variance), 5 / std::sqrt(kSize));
}

TEST(Permutation, WorksFarBeyondMemory) {
  const std::int64_t size = (std::int64_t{1} << 50) + 12345;
  const Permutation order(size, 3);
  std::set<std::int64_t> places;
  for (std::int64_t i = size - 1000; i < size; ++i) places.insert(order(i));
  EXPECT_EQ(places.size(), 1000u);
  EXPECT_GE(*places.begin(), 0);
  EXPECT_LT(*places.rbegin(), size);
  EXPECT_THROW(order(size), InternalError);
}

}  // namespace
}  // namespace galvatron::data
