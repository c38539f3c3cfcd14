#include "galvatron/views/plan_view.h"

#include <gtest/gtest.h>

#include "galvatron/planning/answer.h"
#include "galvatron/views/priced_view.h"

#include "views/views_testing.h"

namespace galvatron::views {
namespace {

OrderedJson view_of(const plan::Plan& plan) {
  return plan_view(answer_gpt2(plan), spec::load_model("gpt2"));
}

TEST(PlanView, HasEachLayerWithItsWholeStrategy) {
  plan::Plan plan = gpt2_plan({.tp_degree = 2}, 2);
  plan.layers[3].recompute = plan::Recompute::kFull;
  const OrderedJson view = view_of(plan);
  ASSERT_EQ(view["layers"].size(), 14u);
  const OrderedJson& layer = view["layers"][3];
  EXPECT_EQ(layer["index"], 3);
  EXPECT_EQ(layer["kind"], "block");
  EXPECT_EQ(layer["stage"], 0);
  EXPECT_EQ(layer["strategy"]["tp_degree"], 2);
  EXPECT_EQ(layer["strategy"]["zero_stage"], 0);
  EXPECT_EQ(layer["strategy"]["recompute"], "full");
  EXPECT_EQ(layer["strategy"]["tp_consecutive"], true);
  EXPECT_EQ(layer["strategy_text"], "tp2 full");
  EXPECT_EQ(layer["dp_degree"], 2);
  EXPECT_EQ(view["layers"][13]["kind"], "head");
  EXPECT_EQ(view["layers"][13]["stage"], 1);
  EXPECT_EQ(view["plan"]["layers"].size(), 14u);
  EXPECT_EQ(view["plan"]["layers"][3].dump(), R"({"count":1,"tp_degree":2,"recompute":"full"})");
}

TEST(PlanView, ItsPlanReadsBackAsTheSame) {
  plan::Plan plan = gpt2_plan({.tp_degree = 2}, 2);
  plan.search = {{"question", {{"seq_length", 512}}}, {"prediction", {{"step_ms", 3}}}};
  const OrderedJson view = view_of(plan);
  EXPECT_EQ(view["plan"]["search"].dump(), R"({"question":{"seq_length":512}})");
  const plan::Plan again = plan::plan_from_json(Json::parse(view["plan"].dump()), "the view");
  EXPECT_EQ(again.layers, plan.layers);
  EXPECT_EQ(again.pipeline, plan.pipeline);
}

TEST(PlanView, StagesAndRanksAreFirstAndLast) {
  const OrderedJson view = view_of(gpt2_plan({}, 2));
  EXPECT_EQ(view["stages"].dump(),
            R"([{"stage":0,"pp_rank":0,"chunk":0,"layers":[0,6],"ranks":[0,3]},)"
            R"({"stage":1,"pp_rank":1,"chunk":0,"layers":[7,13],"ranks":[4,7]}])");
  EXPECT_EQ(view["ranks"].dump(), R"({"world_size":8,"per_stage":4,"per_node":8})");
}

TEST(PlanView, TextsAreThoseOfTheCommandLine) {
  const plan::Plan plan = gpt2_plan({.zero_stage = 1}, 2);
  const PlanAnswer answer = answer_gpt2(plan);
  const planning::PricedPlan& priced = *answer.priced;
  const OrderedJson view = plan_view(answer, priced.question.model)["priced"];
  EXPECT_EQ(view["table_text"], priced_plan_table(priced));
  EXPECT_EQ(view["question_text"], to_text(priced.question, 16, profiles::current_time()));
  EXPECT_EQ(view["time"]["step"]["text"], to_text(priced.cost.step_time));
  const std::string table = view["table_text"];
  for (const char* key : {"tokens_per_second", "tokens_per_second_per_device", "mfu"}) {
    EXPECT_NE(table.find(view["time"][key]["text"].get<std::string>()), std::string::npos) << key;
  }
  EXPECT_TRUE(view["time"]["days"].is_null());
  EXPECT_EQ(view["layers"].size(), plan.layers.size());
}

TEST(PlanView, MemoryPartsAddUpToTheirTotalAndTimesToTheStep) {
  const OrderedJson view = view_of(gpt2_plan({.zero_stage = 2}, 2))["priced"];
  ASSERT_EQ(view["memory"]["ranks"].size(), 2u);
  for (const OrderedJson& rank : view["memory"]["ranks"]) {
    std::int64_t sum = 0;
    for (const OrderedJson& part : rank["parts"]) sum += part["bytes"].get<std::int64_t>();
    EXPECT_EQ(sum, rank["total"]["value"]);
    EXPECT_EQ(rank["parts"].back()["name"], "reserve");
  }
  double sum = 0;
  for (const OrderedJson& part : view["time"]["parts"]) sum += part["ms"].get<double>();
  EXPECT_NEAR(sum, view["time"]["step"]["value"].get<double>(), 1e-6 * sum);
}

TEST(PlanView, APlanThatCannotBeTrainedSaysWhereAndWhy) {
  plan::Plan plan = gpt2_plan();
  plan.layers[5].tp_degree = 3;
  const OrderedJson view = view_of(plan);
  EXPECT_TRUE(view["priced"].is_null());
  EXPECT_EQ(view["problem"]["sentence"],
            "layer 5 (block.4): tp_degree 3 x ulysses_degree 1 = 3 does not divide the 8 ranks of "
            "a stage");
  EXPECT_EQ(view["problem"]["layer"], 5);
  EXPECT_EQ(view["problem"]["field"], "tp_degree");
  EXPECT_EQ(view["layers"].size(), 14u);
  EXPECT_EQ(view["layers"][5]["strategy"]["tp_degree"], 3);
  EXPECT_EQ(view["stages"].size(), 1u);
}

TEST(PlanView, APlanOfAnotherModelHasItsLayersAllTheSame) {
  const plan::Plan plan = gpt2_plan();
  const spec::ModelSpec tiny = spec::load_model("gpt2-tiny");
  const PlanAnswer answer = answer_plan(asked_about("gpt2-tiny", "8xA100"), {"mine", plan});
  ASSERT_TRUE(answer.problem);
  const OrderedJson view = plan_view(answer, tiny);
  EXPECT_EQ(view["layers"].size(), 14u);
  EXPECT_EQ(view["layers"][13]["kind"], "");
  EXPECT_TRUE(view["problem"]["layer"].is_null());
}

TEST(PlanView, StrategiesBeyondAllRanksHaveOneReplica) {
  plan::Plan plan = gpt2_plan();
  plan.layers[2].tp_degree = plan.layers[2].ulysses_degree = plan.layers[2].cp_degree =
      plan::kMaxRanks;
  EXPECT_EQ(view_of(plan)["layers"][2]["dp_degree"], 1);
}

TEST(PlanView, WhatTheMachineCannotHoldIsAProblemToo) {
  plan::Plan plan = gpt2_plan();
  plan.world_size = 12;
  const PlanAnswer answer = answer_gpt2(plan);
  ASSERT_TRUE(answer.problem);
  EXPECT_FALSE(answer.priced);
  EXPECT_FALSE(answer.problem->sentence.empty());
}

TEST(PlanView, SaysByHowMuchItDoesNotFit) {
  PlanQuestion question = asked_about("gpt2", "8xA100");
  question.request.question.memory = mebibytes(700);
  const PlanAnswer answer = answer_plan(question, {"mine", gpt2_plan()});
  const OrderedJson view = priced_view(*answer.priced);
  EXPECT_EQ(view["fits"], false);
  EXPECT_EQ(view["misfit"], why_it_does_not_fit(*answer.priced));
  EXPECT_GT(view["memory"]["ranks"][0]["share_of_budget"].get<double>(), 1);
}

}  // namespace
}  // namespace galvatron::views
