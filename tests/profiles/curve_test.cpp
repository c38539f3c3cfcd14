#include "galvatron/profiles/curve.h"

#include <gtest/gtest.h>

namespace galvatron::profiles {
namespace {

TEST(FitLine, FindsLatencyAndSlopeOfExactPoints) {
  // 2 ms latency, 0.5 ms per unit.
  const Line line = fit_line({{1, 2.5}, {4, 4}, {100, 52}});
  EXPECT_NEAR(line.intercept, 2, 1e-9);
  EXPECT_NEAR(line.slope, 0.5, 1e-12);
}

TEST(FitLine, OnePointGoesThroughTheOrigin) { EXPECT_EQ(fit_line({{4, 2}}), (Line{0, 0.5})); }

TEST(FitLine, NeverHasANegativeLatencyOrSlope) {
  const Line steep = fit_line({{1, 1}, {2, 4}});
  EXPECT_EQ(steep.intercept, 0);
  EXPECT_GT(steep.slope, 0);
  const Line falling = fit_line({{1, 4}, {2, 1}});
  EXPECT_EQ(falling.slope, 0);
  EXPECT_GT(falling.intercept, 0);
}

TEST(FitLine, TakesPointsOfAllZeros) { EXPECT_EQ(fit_line({{1, 0}, {2, 0}}), (Line{0, 0})); }

TEST(Curve, InterpolatesBetweenPoints) {
  const Curve curve({{10, 3}, {20, 5}, {40, 6}});
  EXPECT_DOUBLE_EQ(curve.at(10), 3);
  EXPECT_DOUBLE_EQ(curve.at(15), 4);
  EXPECT_DOUBLE_EQ(curve.at(30), 5.5);
  EXPECT_DOUBLE_EQ(curve.at(0), 0);
}

TEST(Curve, ContinuesWithTheFittedSlope) {
  const Curve curve({{10, 3}, {20, 5}});  // 1 + 0.2 x exactly
  EXPECT_NEAR(curve.at(120), 25, 1e-9);
  EXPECT_NEAR(curve.at(5), 2, 1e-9);  // half way from the latency to the first point
}

TEST(Curve, NeverFalls) {
  const Curve noisy({{1, 5}, {2, 3}, {4, 9}, {8, 8}, {16, 20}});
  double before = 0;
  for (double x = 0.25; x < 64; x += 0.25) {
    EXPECT_GE(noisy.at(x), before) << "at " << x;
    before = noisy.at(x);
  }
  EXPECT_EQ(noisy.at(2), 5);
}

TEST(Curve, AveragesRepeatedMeasurements) {
  const Curve curve({{2, 3}, {2, 5}, {4, 10}});
  ASSERT_EQ(curve.points().size(), 2u);
  EXPECT_EQ(curve.points()[0], (CurvePoint{2, 4}));
}

TEST(Curve, ALineNeedsNoPoints) {
  const Curve line(Line{2, 0.5});
  EXPECT_DOUBLE_EQ(line.at(10), 7);
  EXPECT_DOUBLE_EQ(line.at(0), 0);
}

}  // namespace
}  // namespace galvatron::profiles
