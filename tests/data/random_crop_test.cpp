#include "galvatron/data/random_crop.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include <ATen/ATen.h>

namespace galvatron::data {
namespace {

TEST(RandomCrop, WindowsLieInsideAndHaveTheirAreaAndShape) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> unit(0, 1);
  constexpr std::int64_t kHeight = 200, kWidth = 300;
  double least = 1, most = 0, sum = 0;
  std::int64_t lowest = kHeight, rightmost = 0;
  constexpr int kWindows = 4000;
  for (int i = 0; i < kWindows; ++i) {
    const CropWindow window = random_window(kHeight, kWidth, 0.1, [&] { return unit(random); });
    ASSERT_TRUE(window.top >= 0 && window.left >= 0 && window.height > 0 && window.width > 0);
    ASSERT_TRUE(window.top + window.height <= kHeight && window.left + window.width <= kWidth);
    const double area = static_cast<double>(window.height * window.width) / (kHeight * kWidth);
    const double shape = static_cast<double>(window.width) / static_cast<double>(window.height);
    EXPECT_GT(shape, 0.74);
    EXPECT_LT(shape, 1.36);
    EXPECT_GT(area, 0.098);
    least = std::min(least, area);
    most = std::max(most, area);
    sum += area;
    lowest = std::min(lowest, window.top);
    rightmost = std::max(rightmost, window.left + window.width);
  }
  EXPECT_LT(least, 0.12);
  EXPECT_GT(most, 0.8);
  EXPECT_NEAR(sum / kWindows, 0.4, 0.05) << "large parts fit less often";
  EXPECT_EQ(lowest, 0);
  EXPECT_EQ(rightmost, kWidth);
}

TEST(RandomCrop, WhatIsTooNarrowForAnyGetsItsMiddle) {
  const CropWindow window = random_window(10, 1000, 0.5, [] { return 0.9; });
  EXPECT_EQ(window.height, 10);
  EXPECT_EQ(window.width, 13);
  EXPECT_EQ(window.left, (1000 - 13) / 2);
}

TEST(RandomCrop, TheMiddleHasTheShape) {
  const CropWindow wide = middle_window(100, 400, 224, 224);
  EXPECT_EQ(wide.height, 100);
  EXPECT_EQ(wide.width, 100);
  EXPECT_EQ(wide.left, 150);
  const CropWindow high = middle_window(400, 100, 100, 200);
  EXPECT_EQ(high.height, 50);
  EXPECT_EQ(high.width, 100);
  EXPECT_EQ(high.top, 175);
}

TEST(RandomCrop, ScalingKeepsWhatIsLinear) {
  const at::Tensor ramp = at::arange(64, at::kFloat).view({1, 1, 64}).expand({2, 32, 64});
  const at::Tensor half = scaled_part(ramp, {0, 0, 32, 64}, 16, 32);
  EXPECT_EQ(half.sizes(), (std::vector<std::int64_t>{2, 16, 32}));
  // Pixel i stands for 2 i and 2 i + 1.
  const at::Tensor inside = half.narrow(2, 1, 30);
  const at::Tensor due = at::arange(1, 31, at::kFloat).mul(2).add(0.5);
  EXPECT_LT((inside - due).abs().max().item<float>(), 1e-4F);
  EXPECT_TRUE(
      at::equal(scaled_part(ramp, {3, 5, 4, 7}, 4, 7), ramp.narrow(1, 3, 4).narrow(2, 5, 7)));
}

}  // namespace
}  // namespace galvatron::data
