#include "galvatron/train/lr_schedule.h"

#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::train {
namespace {

constexpr std::int64_t kScheduleSteps = 100;

LrSchedule make(LrShape shape, std::int64_t warmup = 10, std::int64_t decay = 0) {
  return {{shape, 1e-3, 1e-4, warmup, decay}, kScheduleSteps};
}

TEST(LrSchedule, EveryShapeWarmsUpToThePeak) {
  for (const std::string& name : lr_shape_names()) {
    const LrSchedule schedule = make(parse_lr_shape(name));
    EXPECT_DOUBLE_EQ(schedule.at(0), 1e-4) << name;
    EXPECT_DOUBLE_EQ(schedule.at(4), 5e-4) << name;
    EXPECT_DOUBLE_EQ(schedule.at(9), 1e-3) << name;
    EXPECT_DOUBLE_EQ(schedule.at(10), 1e-3) << name;
    EXPECT_EQ(to_text(parse_lr_shape(name)), name);
  }
}

TEST(LrSchedule, ConstantStays) { EXPECT_DOUBLE_EQ(make(LrShape::kConstant).at(99), 1e-3); }

TEST(LrSchedule, LinearIsHalfWayInTheMiddle) {
  const LrSchedule schedule = make(LrShape::kLinear);
  EXPECT_DOUBLE_EQ(schedule.at(55), 1e-4 + 9e-4 * 0.5);
  EXPECT_DOUBLE_EQ(schedule.at(99), 1e-4 + 9e-4 * (1.0 / 90));
}

TEST(LrSchedule, CosineFollowsTheClosedForm) {
  const LrSchedule schedule = make(LrShape::kCosine);
  EXPECT_DOUBLE_EQ(schedule.at(55), 1e-4 + 9e-4 * 0.5);
  EXPECT_DOUBLE_EQ(schedule.at(25), 1e-4 + 9e-4 * (1 + std::cos(std::numbers::pi / 6)) / 2);
}

TEST(LrSchedule, WsdIsStableThenFallsLinearly) {
  const LrSchedule schedule = make(LrShape::kWsd, 10, 40);
  EXPECT_DOUBLE_EQ(schedule.at(59), 1e-3);
  EXPECT_DOUBLE_EQ(schedule.at(60), 1e-3);
  EXPECT_DOUBLE_EQ(schedule.at(80), 1e-4 + 9e-4 * 0.5);
  EXPECT_DOUBLE_EQ(schedule.at(99), 1e-4 + 9e-4 / 40);
  EXPECT_DOUBLE_EQ(make(LrShape::kWsd).at(90), 1e-4 + 9e-4 * 0.5)
      << "a fifth of the steps by default";
}

TEST(LrSchedule, StepsBehindTheEndKeepTheLastRate) {
  const LrSchedule schedule = make(LrShape::kCosine);
  EXPECT_EQ(schedule.at(1000), schedule.at(99));
}

TEST(LrSchedule, RefusesWhatDoesNotFit) {
  const auto refusal = [](const LrScheduleOptions& options) {
    return config_error_of([&] { LrSchedule(options, 10); });
  };
  EXPECT_EQ(refusal({LrShape::kCosine, 1e-4, 1e-3}),
            "[train] the least learning rate 0.001 is above the highest, 0.0001");
  EXPECT_EQ(refusal({LrShape::kCosine, 1e-3, 0, 11}),
            "[train] 11 warm-up steps do not fit into 10 steps");
  EXPECT_EQ(refusal({LrShape::kWsd, 1e-3, 0, 5, 6}),
            "[train] 5 warm-up and 6 decay steps do not fit into 10 steps");
  EXPECT_EQ(config_error_of([] { parse_lr_shape("cosin"); }),
            "[train] unknown learning rate schedule 'cosin', did you mean 'cosine'?");
}

}  // namespace
}  // namespace galvatron::train
