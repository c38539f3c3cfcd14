#include "galvatron/planning/calibration.h"

#include <gtest/gtest.h>

#include "galvatron/planning/plan_question.h"

#include "config_error.h"
#include "cost/example_costs.h"

namespace galvatron::planning {
namespace {

using cost::Example;
using plan::StepKind;
using plan::StepKinds;

plan::TracedStep measured_as(const StepKinds& ms) { return {ms, Milliseconds{ms.sum()}, 1, true}; }

plan::RecordedPrediction prediction_of(const cost::PlanCost& cost) {
  plan::Plan plan;
  plan.search = {{"prediction", cost::plan_cost_to_json(cost)}};
  return plan::read_prediction(plan);
}

cost::PlanCost priced(const Example& example, const plan::Plan& plan, const StepKinds& factors) {
  cost::CostInputs inputs = example.inputs();
  inputs.factors = factors;
  return cost::estimate(inputs, plan);
}

// Plans without anything that hides behind something else.
std::vector<plan::Plan> additive_plans(const Example& example) {
  return {example.plan(1, {}), example.plan(1, {.recompute = plan::Recompute::kFull}),
          example.plan(1, {.recompute = plan::Recompute::kSelective}),
          example.plan(2, {.tp_degree = 2}),
          example.plan(4, {.ulysses_degree = 4, .zero_stage = 0}, 1, 1)};
}

TEST(Calibration, WithThePredictionItselfNothingChanges) {
  const Example example;
  for (const plan::Plan& plan : additive_plans(example)) {
    const cost::PlanCost cost = priced(example, plan, StepKinds(1));
    EXPECT_NEAR(cost.kinds.sum(), cost.step_time.value, 1e-9 * cost.step_time.value);
    EXPECT_EQ(calibrated_factors(plan, prediction_of(cost), measured_as(cost.kinds)), StepKinds(1));
  }
}

TEST(Calibration, ThePredictionOfTheRunBecomesItsMeasurement) {
  const Example example;
  const double ratios[] = {1.3, 0.8, 1.7, 2.2, 0.6, 1.9, 1.1};
  for (const plan::Plan& plan : additive_plans(example)) {
    StepKinds factors(1);
    for (int again = 0; again < 3; ++again) {  // a calibration of what is calibrated already
      const cost::PlanCost before = priced(example, plan, factors);
      StepKinds measured;
      for (std::size_t i = 0; i < plan::kNumStepKinds; ++i) {
        const auto kind = static_cast<StepKind>(i);
        const bool exposed_only = kind == StepKind::kGradients;  // partly hidden: not additive
        measured[kind] = before.kinds[kind] * (exposed_only ? 1 : ratios[(i + again) % 7]);
      }
      if (plan.layers[1].recompute == plan::Recompute::kSelective) {
        measured[StepKind::kRecompute] =
            before.kinds[StepKind::kRecompute] * ratios[(1 + again) % 7];
      }
      factors = calibrated_factors(plan, prediction_of(before), measured_as(measured));
      const cost::PlanCost after = priced(example, plan, factors);
      if (before.kinds[StepKind::kGradients] > 0) continue;
      for (const StepKind kind : enum_values<StepKind>()) {
        EXPECT_NEAR(after.kinds[kind], measured[kind], 1e-9 * measured.sum()) << enum_text(kind);
      }
      EXPECT_NEAR(after.step_time.value, measured.sum(), 1e-9 * measured.sum());
    }
  }
}

TEST(Calibration, EveryCommunicationHasItsFactor) {
  const Example example;
  const auto changes = [&](const plan::Plan& plan, StepKind kind) {
    StepKinds factors(1);
    factors[kind] = 3;
    const cost::PlanCost plain = priced(example, plan, StepKinds(1));
    const cost::PlanCost slow = priced(example, plan, factors);
    EXPECT_GT(slow.kinds[kind], 1.5 * plain.kinds[kind]) << enum_text(kind);
    EXPECT_GT(slow.simulated_time, plain.simulated_time) << enum_text(kind);
    EXPECT_GT(plain.kinds[kind], 0) << enum_text(kind);
  };
  changes(example.plan(8, {.zero_stage = 3}), StepKind::kZero);
  changes(example.plan(8, {.zero_stage = 0}, 1, 1), StepKind::kGradients);
  changes(example.plan(8, {.zero_stage = 1}), StepKind::kParameters);
  changes(example.plan(2, {}, 2), StepKind::kTransfer);
  plan::Plan mixed = example.plan(2, {});
  mixed.layers[1] = {.tp_degree = 2};
  changes(mixed, StepKind::kLayoutChange);
}

TEST(Calibration, FilesAreReadAsTheyWereWritten) {
  Calibration calibration;
  calibration.factors[StepKind::kTp] = 1.25;
  calibration.run = "runs/first";
  calibration.date = "2026-11-30T01:02:03Z";
  calibration.model = "gpt2";
  calibration.device = "NVIDIA H100 80GB HBM3";
  calibration.world_size = 8;
  calibration.precision = spec::Precision::kBf16;
  const OrderedJson json = calibration_to_json(calibration);
  const Calibration again = calibration_from_json(Json::parse(json.dump()), "mine.json");
  EXPECT_EQ(calibration_to_json(again), json);
  EXPECT_EQ(again.factors, calibration.factors);
  OrderedJson changed = json;
  changed["factors"]["TP"] = 0;
  EXPECT_NE(config_error_of([&] {
              calibration_from_json(Json::parse(changed.dump()), "mine.json");
            }).find("TP"),
            std::string::npos);
  EXPECT_NE(config_error_of([&] {
              calibration_from_json(Json::parse("{}"), "mine.json");
            }).find("report RUN --calibrate"),
            std::string::npos);
}

TEST(Calibration, IsOfOneKindOfMachine) {
  Calibration calibration;
  calibration.run = "runs/first";
  calibration.model = "gpt2";
  calibration.device = "NVIDIA H100 80GB HBM3";
  calibration.world_size = 8;
  calibration.precision = spec::Precision::kBf16;
  const auto said = [&](const std::string& device, int world, const std::string& model,
                        spec::Precision precision) {
    return require_calibration_for(calibration, device, world, model, precision);
  };
  EXPECT_EQ(said("NVIDIA H100 80GB SXM", 8, "gpt2", spec::Precision::kBf16).size(), 1);
  EXPECT_EQ(said("NVIDIA H100 80GB HBM3", 16, "llama2-7b", spec::Precision::kBf16).size(), 3);
  EXPECT_NE(config_error_of([&] {
              said("NVIDIA A100 80GB SXM", 8, "gpt2", spec::Precision::kBf16);
            }).find("leave --calibration out"),
            std::string::npos);
  EXPECT_NE(config_error_of([&] {
              said("NVIDIA H100 80GB SXM", 8, "gpt2", spec::Precision::kFp32);
            }).find("in bf16"),
            std::string::npos);
  calibration.device = "cpu";
  calibration.precision = spec::Precision::kFp32;
  EXPECT_EQ(said("cpu: Some Processor", 8, "gpt2", spec::Precision::kFp32).size(), 1);
}

TEST(Calibration, NeedsPartsOnBothSides) {
  const Example example;
  const plan::Plan plan = example.plan(1, {});
  const cost::PlanCost cost = priced(example, plan, StepKinds(1));
  plan::TracedStep measured = measured_as(cost.kinds);
  EXPECT_NE(config_error_of([&] {
              calibrated_factors(plan, {}, measured);
            }).find("no prediction by parts"),
            std::string::npos);
  measured.tells_collectives = false;
  EXPECT_NE(config_error_of([&] {
              calibrated_factors(plan, prediction_of(cost), measured);
            }).find("train again"),
            std::string::npos);
}

}  // namespace
}  // namespace galvatron::planning
