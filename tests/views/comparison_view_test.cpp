#include "galvatron/views/comparison_view.h"

#include <gtest/gtest.h>

#include "galvatron/planning/comparison.h"

#include "views/views_testing.h"

namespace galvatron::views {
namespace {

ComparedPlans compared(const plan::Plan& one, const plan::Plan& other) {
  return answer_both(asked_about("gpt2", "8xA100"), {"one", one}, {"other", other});
}

OrderedJson comparison_of(const ComparedPlans& plans) {
  return comparison_view(plans, spec::load_model("gpt2"));
}

TEST(ComparisonView, SaysWhatTheCommandLineSays) {
  const ComparedPlans plans = compared(gpt2_plan(), gpt2_plan({.tp_degree = 4}, 2));
  const OrderedJson view = comparison_of(plans);
  EXPECT_EQ(view["text"], compare_plans(*plans.one.priced, *plans.other.priced));
  EXPECT_EQ(view["verdict"], verdict(*plans.one.priced, *plans.other.priced));
  ASSERT_EQ(view["memory"].size(), 2u);
  EXPECT_TRUE(view["memory"][1]["one"].is_null());
  EXPECT_FALSE(view["memory"][1]["other"].is_null());
}

TEST(ComparisonView, PartsOfBothAddUpToTheirSteps) {
  const OrderedJson view = comparison_of(compared(gpt2_plan(), gpt2_plan({.tp_degree = 4}, 2)));
  double one = 0, other = 0;
  for (const OrderedJson& part : view["parts"]) {
    one += part["one_ms"].get<double>();
    other += part["other_ms"].get<double>();
  }
  EXPECT_NEAR(one, view["one"]["priced"]["time"]["step"]["value"].get<double>(), 1e-6 * one);
  EXPECT_NEAR(other, view["other"]["priced"]["time"]["step"]["value"].get<double>(), 1e-6 * other);
}

TEST(ComparisonView, NamesTheFieldsThatDifferByRunsOfLayers) {
  plan::Plan other = gpt2_plan();
  for (const std::size_t layer : {4u, 5u}) {
    other.layers[layer].zero_stage = 3;
    other.layers[layer].recompute = plan::Recompute::kFull;
  }
  const OrderedJson view = comparison_of(compared(gpt2_plan(), other));
  EXPECT_EQ(view["layers"].dump(), R"([{"layers":[4,5],"name":"2 x block","one":"dp",)"
                                   R"("other":"zero3 full","fields":["zero_stage","recompute"]}])");
}

TEST(ComparisonView, OfAPlanThatCannotBeTrainedSaysWhichAndWhy) {
  plan::Plan broken = gpt2_plan();
  broken.num_microbatches = 100;
  const OrderedJson view = comparison_of(compared(gpt2_plan(), broken));
  EXPECT_EQ(view["verdict"],
            "other: num_microbatches 100 is more than the 16 samples of global_batch; use at most "
            "16");
  EXPECT_FALSE(view["one"]["priced"].is_null());
  EXPECT_EQ(view["other"]["problem"]["field"], "num_microbatches");
}

TEST(ComparisonView, IsOfTheSameTraining) {
  plan::Plan one = gpt2_plan();
  one.search = {
      {"question",
       {{"seq_length", 256}, {"global_batch", 16}, {"precision", "bf16"}, {"optimizer", "adamw"}}}};
  const ComparedPlans plans = compared(one, gpt2_plan());
  EXPECT_EQ(plans.other.priced->question.job.seq_length, 256);
}

}  // namespace
}  // namespace galvatron::views
