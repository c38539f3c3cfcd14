#include "galvatron/cost/step_parts.h"

#include <gtest/gtest.h>

#include "galvatron/plan/check_plan.h"

#include "cost/example_costs.h"

namespace galvatron::cost {
namespace {

double total_ms(const std::vector<StepPart>& parts) {
  double sum = 0;
  for (const StepPart& one : parts) sum += one.time.value;
  return sum;
}

double ms_of(const std::vector<StepPart>& parts, TimePart part) {
  double sum = 0;
  for (const StepPart& one : parts) sum += one.part == part ? one.time.value : 0;
  return sum;
}

std::vector<StepPart> parts_of(const Example& example, const plan::Plan& plan) {
  return step_parts(example.inputs(), plan, estimate(example.inputs(), plan));
}

TEST(StepParts, AddUpToTheStepAndToItsSplit) {
  const Example example;
  for (const int pp : {1, 2, 4}) {
    for (const int zero : {0, 1, 2, 3}) {
      for (const plan::LayerStrategy strategy :
           {plan::LayerStrategy{.tp_degree = 2, .zero_stage = zero},
            plan::LayerStrategy{.ulysses_degree = 2, .zero_stage = zero},
            plan::LayerStrategy{.zero_stage = zero, .recompute = plan::Recompute::kFull}}) {
        const plan::Plan plan = example.plan(8, strategy, pp, 3);
        ASSERT_EQ(plan::check_plan(plan, example.model), std::nullopt);
        const PlanCost cost = estimate(example.inputs(), plan);
        const std::vector<StepPart> parts = step_parts(example.inputs(), plan, cost);
        EXPECT_NEAR(total_ms(parts), cost.step_time.value, 1e-6 * cost.step_time.value);
        EXPECT_NEAR(ms_of(parts, TimePart::kCompute) + ms_of(parts, TimePart::kRecompute) +
                        ms_of(parts, TimePart::kOptimizer),
                    cost.compute.value, 1e-6 * cost.step_time.value);
        EXPECT_NEAR(ms_of(parts, TimePart::kBubble), cost.bubble.value,
                    1e-6 * cost.step_time.value);
      }
    }
  }
}

TEST(StepParts, PlainDataParallelismComputesAndReduces) {
  const Example example;
  const auto parts = parts_of(example, example.plan(8, {}, 1, 1));
  std::vector<TimePart> kinds;
  for (const StepPart& one : parts) kinds.push_back(one.part);
  EXPECT_EQ(kinds, (std::vector{TimePart::kCompute, TimePart::kOptimizer, TimePart::kGradients}));
  // 1 sample: embedding 2, two blocks 12 each, head 9 ms.
  EXPECT_NEAR(parts[0].time.value, 2 + 2 * 12 + 9, 1e-9);
}

TEST(StepParts, RecomputationIsTheForwardOfTheBlocksAgain) {
  const Example example;
  plan::LayerStrategy strategy;
  strategy.recompute = plan::Recompute::kFull;
  EXPECT_NEAR(ms_of(parts_of(example, example.plan(1, strategy, 1, 2)), TimePart::kRecompute),
              8 * 2 * 4, 1e-9);
  strategy.recompute = plan::Recompute::kSelective;
  EXPECT_NEAR(ms_of(parts_of(example, example.plan(1, strategy, 1, 2)), TimePart::kRecompute),
              8 * 2 * 1, 1e-9);
}

TEST(StepParts, ToldApartByStrategyAndLinks) {
  Example example;
  example.hardware.ranks_per_node = 4;
  const auto tp = parts_of(example, example.plan(8, {.tp_degree = 4}, 1, 2));
  const auto ulysses = parts_of(example, example.plan(8, {.ulysses_degree = 2}, 1, 2));
  const auto zero = parts_of(example, example.plan(8, {.zero_stage = 3}, 1, 2));
  EXPECT_GT(ms_of(tp, TimePart::kTp), 0);
  EXPECT_EQ(ms_of(tp, TimePart::kUlysses), 0);
  EXPECT_EQ(ms_of(tp, TimePart::kZero), 0);
  EXPECT_GT(ms_of(ulysses, TimePart::kUlysses), 0);
  EXPECT_GT(ms_of(zero, TimePart::kZero), 0);
  EXPECT_EQ(ms_of(zero, TimePart::kTp), 0);
  for (const StepPart& one : tp) {
    if (one.part == TimePart::kTp) {
      EXPECT_EQ(name_of(one), "TP inside nodes");
    }
    if (one.part == TimePart::kGradients) {
      EXPECT_EQ(name_of(one), "gradient reduction between nodes");
    }
  }
  for (const StepPart& one : zero) {
    if (one.part == TimePart::kZero) {
      EXPECT_EQ(name_of(one), "ZeRO between nodes");
    }
  }
}

}  // namespace
}  // namespace galvatron::cost
