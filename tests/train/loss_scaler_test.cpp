#include "galvatron/train/loss_scaler.h"

#include <limits>

#include <gtest/gtest.h>

namespace galvatron::train {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(LossScaler, HalvesAndSkipsOnOverflow) {
  LossScaler scaler({.enabled = true});
  EXPECT_EQ(scaler.scale(), 65536);
  EXPECT_FALSE(scaler.update(kInfinity));
  EXPECT_FALSE(scaler.update(std::numeric_limits<double>::quiet_NaN()));
  EXPECT_EQ(scaler.scale(), 16384);
}

TEST(LossScaler, DoublesAfterARunOfGoodSteps) {
  LossScaler scaler({.enabled = true, .growth_interval = 3});
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(scaler.update(1));
  EXPECT_FALSE(scaler.update(kInfinity));  // the run starts anew
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(scaler.update(1));
  EXPECT_EQ(scaler.scale(), 32768);
  EXPECT_TRUE(scaler.update(1));
  EXPECT_EQ(scaler.scale(), 65536);
}

TEST(LossScaler, StaysWithinItsBounds) {
  LossScaler low({.enabled = true, .initial = 2});
  for (int i = 0; i < 5; ++i) low.update(kInfinity);
  EXPECT_EQ(low.scale(), 1);
  LossScaler high({.enabled = true, .growth_interval = 1});
  for (int i = 0; i < 40; ++i) high.update(1);
  EXPECT_EQ(high.scale(), 4294967296.0);
}

TEST(LossScaler, DisabledCountsEveryStep) {
  LossScaler scaler({});
  EXPECT_TRUE(scaler.update(kInfinity));
  EXPECT_EQ(scaler.scale(), 1);
}

}  // namespace
}  // namespace galvatron::train
