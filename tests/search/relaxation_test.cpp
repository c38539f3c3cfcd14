#include "galvatron/search/solvers/relaxation.h"

#include <gtest/gtest.h>

#include "galvatron/search/solvers/tolerance.h"

#include "search/random_tables.h"

namespace galvatron::search {
namespace {

LowerHull random_hull(Random& random) {
  std::vector<WeightedCost> options;
  for (int i = random.whole(1, 5); i > 0; --i) {
    options.push_back({static_cast<double>(random.whole(0, 20)), random.real(0, 10)});
  }
  return LowerHull(std::move(options));
}

TEST(Relaxation, IsBelowEveryWholeChoice) {
  Random random{std::mt19937_64(3)};
  for (int round = 0; round < 500; ++round) {
    const LowerHull a = random_hull(random), b = random_hull(random);
    const double capacity = random.whole(0, 60);
    const double relaxed = relax({{&a, 2}, {&b, 1}}, capacity).cost;
    for (const WeightedCost& x : a.points()) {
      for (const WeightedCost& y : a.points()) {
        for (const WeightedCost& z : b.points()) {
          if (x.weight + y.weight + z.weight > capacity) continue;
          EXPECT_LE(relaxed, x.cost + y.cost + z.cost + 1e-12) << "round " << round;
        }
      }
    }
  }
}

TEST(Relaxation, TheCurveIsTheRelaxationAtEveryCapacity) {
  Random random{std::mt19937_64(4)};
  int fitting = 0;
  for (int round = 0; round < 500; ++round) {
    const LowerHull a = random_hull(random), b = random_hull(random);
    const std::vector<HullCount> items = {{&a, random.whole(0, 4)}, {&b, random.whole(0, 4)}};
    const RelaxedCurve curve(items);
    for (double capacity = -1; capacity < 170; capacity += 1.5) {
      const double relaxed = relax(items, capacity).cost;
      ASSERT_EQ(curve.at(capacity) == kInfinity, relaxed == kInfinity) << round << " " << capacity;
      if (relaxed == kInfinity) continue;
      EXPECT_NEAR(curve.at(capacity), relaxed, 1e-10) << round << " " << capacity;
      ++fitting;
    }
  }
  EXPECT_GT(fitting, 10'000);
}

}  // namespace
}  // namespace galvatron::search
