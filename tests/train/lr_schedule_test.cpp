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

TEST(LrSchedule, WsdHasThreeTails) {
  const auto tail = [](LrTail shape, std::int64_t step) {
    return LrSchedule({LrShape::kWsd, 1e-3, 1e-4, 10, 40, shape}, kScheduleSteps).at(step);
  };
  for (const LrTail shape : {LrTail::kLinear, LrTail::kCosine, LrTail::kOneMinusSqrt}) {
    EXPECT_DOUBLE_EQ(tail(shape, 59), 1e-3);
    EXPECT_DOUBLE_EQ(tail(shape, 60), 1e-3);
  }
  EXPECT_DOUBLE_EQ(tail(LrTail::kCosine, 80), 1e-4 + 9e-4 * 0.5);
  EXPECT_DOUBLE_EQ(tail(LrTail::kCosine, 70),
                   1e-4 + 9e-4 * (1 + std::cos(std::numbers::pi / 4)) / 2);
  EXPECT_DOUBLE_EQ(tail(LrTail::kOneMinusSqrt, 70), 1e-4 + 9e-4 * 0.5);
  EXPECT_DOUBLE_EQ(tail(LrTail::kOneMinusSqrt, 99), 1e-4 + 9e-4 * (1 - std::sqrt(39.0 / 40)));
}

TEST(LrSchedule, InverseSqrtFallsWithTheRootOfTheSteps) {
  const LrSchedule schedule = make(LrShape::kInverseSqrt);
  EXPECT_DOUBLE_EQ(schedule.at(40), 1e-3 / 2);
  EXPECT_DOUBLE_EQ(schedule.at(90), 1e-3 / 3);
  EXPECT_DOUBLE_EQ(LrSchedule({LrShape::kInverseSqrt, 1e-3, 4e-4, 10}, kScheduleSteps).at(90), 4e-4)
      << "not below the least";
  EXPECT_DOUBLE_EQ(make(LrShape::kInverseSqrt, 0).at(99), 1e-3 * std::sqrt(10000.0 / 10099))
      << "Hugging Face's timescale where there is no warm-up";
}

TEST(DecaySchedule, GoesFromStartToEnd) {
  EXPECT_EQ(DecaySchedule({}, 0.1, 100).at(70), 0.1);
  const DecaySchedule linear({DecayShape::kLinear, 0.5}, 0.1, 100);
  EXPECT_EQ(linear.at(0), 0.1);
  EXPECT_DOUBLE_EQ(linear.at(25), 0.2);
  EXPECT_DOUBLE_EQ(linear.at(1000), 0.1 + 0.4 * 0.99);
  const DecaySchedule cosine({DecayShape::kCosine, 0.02}, 0.1, 100);
  EXPECT_DOUBLE_EQ(cosine.at(50), 0.06);
  EXPECT_DOUBLE_EQ(cosine.at(25), 0.1 - 0.08 * (1 - std::sqrt(0.5)) / 2);
}

TEST(DecaySchedule, RefusesHalfOfItsOptions) {
  EXPECT_EQ(config_error_of([] { DecaySchedule({DecayShape::kConstant, 0.5}, 0.1, 100); }),
            "[train] an end of the weight decay, 0.5, needs a way there; give "
            "--weight-decay-schedule linear or cosine, or leave --end-weight-decay away");
  EXPECT_EQ(config_error_of([] { DecaySchedule({DecayShape::kCosine, {}}, 0.1, 100); }),
            "[train] the weight decay goes cosine from 0.1 to nowhere; give --end-weight-decay, or "
            "leave --weight-decay-schedule away");
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
  EXPECT_EQ(
      refusal({LrShape::kCosine, 1e-3, 0, 0, 0, LrTail::kOneMinusSqrt}),
      "[train] the tail 1-sqrt is of --lr-schedule wsd, not cosine; leave --decay-shape away");
  EXPECT_EQ(config_error_of([] { parse_lr_shape("cosin"); }),
            "[train] unknown learning rate schedule 'cosin', did you mean 'cosine'?");
}

}  // namespace
}  // namespace galvatron::train
