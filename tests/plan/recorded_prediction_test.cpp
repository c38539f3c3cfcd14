#include "galvatron/plan/recorded_prediction.h"

#include <gtest/gtest.h>

namespace galvatron::plan {
namespace {

Plan plan_of_a_search() {
  Plan plan;
  plan.world_size = 4;
  plan.pipeline = {2, ScheduleKind::k1F1B, {2, 2}};
  plan.layers.resize(4);
  return plan;
}

OrderedJson recorded_cost() {
  const auto stage = [](int total) {
    return OrderedJson{
        {"memory", {{"parameters_bytes", 300}, {"total_bytes", total}, {"reserve_bytes", 100}}}};
  };
  return {{"step_ms", 125.0},
          {"compute_ms", 100},
          {"bubble_ms", 25},
          {"stages", {stage(1100), stage(600)}}};
}

TEST(RecordedPrediction, IsReadWithoutTheReserve) {
  Plan plan = plan_of_a_search();
  plan.search = recorded_cost();
  const RecordedPrediction direct = read_prediction(plan);
  EXPECT_EQ(direct.step_time->value, 125);
  EXPECT_EQ(direct.rank_memory, (std::vector<Bytes>{{1000}, {500}}));
  plan.search = {{"seconds", 1}, {"prediction", recorded_cost()}};
  EXPECT_EQ(read_prediction(plan).rank_memory, direct.rank_memory);
}

TEST(RecordedPrediction, KnowsTheSpeedOfItsMachine) {
  Plan plan = plan_of_a_search();
  plan.search = {{"prediction", recorded_cost()}};
  EXPECT_FALSE(read_prediction(plan).reference.has_value());
  plan.search["question"]["sources"] = {{{"of", "network and device"}, {"reference_ms", 1.5}},
                                        {{"of", "layers"}, {"reference_ms", 3}}};
  EXPECT_EQ(read_prediction(plan).reference, Milliseconds{1.5});
  plan.search["question"]["sources"] = {{{"of", "network and device"}}, 7, {{"reference_ms", 0}}};
  EXPECT_FALSE(read_prediction(plan).reference.has_value());
}

TEST(RecordedPrediction, NamesThePartsThatItHas) {
  Plan plan = plan_of_a_search();
  plan.search = recorded_cost();
  const RecordedPrediction found = read_prediction(plan);
  ASSERT_EQ(found.step_parts.size(), 2u);
  EXPECT_EQ(found.step_parts[0].first, "compute");
  EXPECT_EQ(found.step_parts[1].second, Milliseconds{25});
  ASSERT_EQ(found.rank_parts.size(), 2u);
  ASSERT_EQ(found.rank_parts[1].size(), 2u);
  EXPECT_EQ(found.rank_parts[1][0].first, "parameters");
  EXPECT_EQ(found.rank_parts[1][1].second, Bytes{100});
}

TEST(RecordedPrediction, OtherSectionsForetellNothing) {
  Plan plan = plan_of_a_search();
  for (const OrderedJson& search : {OrderedJson(), OrderedJson::array({1, 2}),
                                    OrderedJson{{"step_ms", "fast"}}, OrderedJson{{"cost", 3}}}) {
    plan.search = search;
    EXPECT_FALSE(read_prediction(plan).step_time.has_value()) << search;
  }
  plan.search = {{"step_ms", 3.0}, {"stages", {1}}};
  EXPECT_TRUE(read_prediction(plan).rank_memory.empty());
}

TEST(RecordedBudget, IsNoneWhereThePlanDoesNotSay) {
  Plan plan = plan_of_a_search();
  EXPECT_EQ(recorded_budget(plan), Bytes{});
  plan.search = {{"memory_budget_bytes", 400}};
  EXPECT_EQ(recorded_budget(plan), Bytes{400});
}

}  // namespace
}  // namespace galvatron::plan
