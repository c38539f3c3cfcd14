#include "galvatron/planning/comparison.h"

#include <gtest/gtest.h>

namespace galvatron::planning {
namespace {

const spec::JobSpec kComparedJob{1024, 16, spec::Precision::kBf16};

spec::ModelSpec compared_gpt() { return spec::load_model("gpt2"); }

PricedPlan priced_as(const plan::Plan& plan, const std::string& name,
                     std::optional<Bytes> memory = std::nullopt) {
  MachineKnowledge knowledge;
  knowledge.cluster = profiles::load_cluster("8xA100");
  PlanQuestionRequest request;
  request.question.memory = memory;
  return price_plan(request, plan, compared_gpt(), knowledge, name);
}

plan::Plan compared_plan(const plan::LayerStrategy& strategy, int pp_degree = 1) {
  return plan::uniform_plan(compared_gpt(), kComparedJob, 8, strategy, pp_degree,
                            pp_degree == 1 ? 1 : 4);
}

TEST(StrategyDifferences, AreByRunsOfLayers) {
  const plan::Plan one = compared_plan({});
  plan::Plan other = one;
  for (int layer = 3; layer < 8; ++layer)
    other.layers[static_cast<std::size_t>(layer)].zero_stage = 3;
  other.layers[8].recompute = plan::Recompute::kFull;
  const auto found = strategy_differences(one, other, compared_gpt().layer_names());
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].layers, (Range{3, 8}));
  EXPECT_EQ(found[0].name, "5 x block");
  EXPECT_EQ(found[0].other.zero_stage, 3);
  EXPECT_EQ(found[1].layers, (Range{8, 9}));
  EXPECT_TRUE(strategy_differences(one, one, compared_gpt().layer_names()).empty());
}

TEST(Verdict, NamesTheFasterPlanAndWhy) {
  const PricedPlan dp = priced_as(compared_plan({}), "dp.json");
  const PricedPlan tp = priced_as(compared_plan({.tp_degree = 4}), "tp.json");
  ASSERT_GT(dp.cost.tokens_per_second, tp.cost.tokens_per_second);
  const std::string text = verdict(tp, dp);
  EXPECT_EQ(text, verdict(dp, tp));
  EXPECT_TRUE(text.starts_with("dp.json wins with ")) << text;
  EXPECT_NE(text.find("tp.json has "), std::string::npos);
  EXPECT_NE(text.find("more exposed communication"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("a step")) << text;
}

TEST(Verdict, OfDifferentBatchesIsByTheSample) {
  plan::Plan large = compared_plan({});
  large.global_batch = 32;
  EXPECT_TRUE(verdict(priced_as(large, "large"), priced_as(compared_plan({}), "small"))
                  .ends_with("a sample"));
}

TEST(Verdict, APlanThatDoesNotFitCannotWin) {
  const plan::Plan dp = compared_plan({}),
                   lean = compared_plan({.tp_degree = 4, .zero_stage = 3}, 2);
  const Bytes enough = priced_as(lean, "").cost.peak_memory();
  const std::string text =
      verdict(priced_as(dp, "dp.json", enough), priced_as(lean, "lean.json", enough));
  EXPECT_TRUE(text.starts_with("dp.json does not fit: ")) << text;
  EXPECT_TRUE(text.ends_with("; lean.json fits")) << text;
}

TEST(Verdict, EqualPlansAreEquallyFast) {
  const PricedPlan one = priced_as(compared_plan({}), "one");
  EXPECT_EQ(verdict(one, one), "both are equally fast");
}

TEST(ComparePlans, ShowsWhatDiffers) {
  const std::string text = compare_plans(priced_as(compared_plan({.tp_degree = 2}, 2), "a.json"),
                                         priced_as(compared_plan({.tp_degree = 4}, 2), "b.json"));
  for (const char* part :
       {"a.json", "b.json", "exposed communication", "tokens/s", "  pipeline rank 1",
        "where they differ", "12 x block (1-12)", "tp2", "tp4", "wins with"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  EXPECT_EQ(text.find("microbatches"), std::string::npos) << "the same in both";
}

}  // namespace
}  // namespace galvatron::planning
