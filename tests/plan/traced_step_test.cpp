#include "galvatron/plan/traced_step.h"

#include <gtest/gtest.h>

#include "galvatron/plan/step_comparison.h"

namespace galvatron::plan {
namespace {

Plan two_stages() {
  Plan plan;
  plan.world_size = 2;
  plan.pipeline = {2, ScheduleKind::k1F1B, {2, 2}};
  plan.layers.resize(4);
  return plan;
}

OrderedJson event(int rank, const std::string& name, const std::string& category, double start_ms,
                  double end_ms, const std::string& part = "", int step = 7) {
  OrderedJson args = {{"step", step}};
  if (!part.empty()) args["part"] = part;
  return {{"name", name}, {"cat", category},        {"ph", "X"},
          {"tid", rank},  {"ts", 1000 * start_ms},  {"dur", 1000 * (end_ms - start_ms)},
          {"pid", 0},     {"args", std::move(args)}};
}

OrderedJson trace_of(const std::vector<OrderedJson>& events) {
  OrderedJson list = OrderedJson::array();
  list.push_back({{"name", "thread_name"}, {"ph", "M"}, {"tid", 0}});
  for (const OrderedJson& one : events) list.push_back(one);
  return {{"traceEvents", list}};
}

TEST(TracedStep, AnEventsTimeIsItsOwn) {
  const auto found = traced_step(
      trace_of({event(0, "step", "step", 0, 100), event(0, "F0", "forward", 10, 40),
                event(0, "all_gather", "wait", 15, 25, "TP"), event(0, "B0", "backward", 40, 90),
                event(0, "forward again", "wait", 40, 60, "recomputation"),
                event(0, "all_gather", "wait", 45, 50, "ZeRO"),
                event(0, "optimizer", "optimizer", 90, 95)}),
      two_stages(), 0);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->tells_collectives);
  EXPECT_NEAR(found->ms[StepKind::kForward], 20, 1e-9);
  EXPECT_NEAR(found->ms[StepKind::kTp], 10, 1e-9);
  EXPECT_NEAR(found->ms[StepKind::kBackward], 30, 1e-9);
  EXPECT_NEAR(found->ms[StepKind::kRecompute], 15, 1e-9);
  EXPECT_NEAR(found->ms[StepKind::kZero], 5, 1e-9);
  EXPECT_NEAR(found->ms[StepKind::kOptimizer], 5, 1e-9);
  EXPECT_NEAR(found->ms[StepKind::kRest], 15, 1e-9);
  EXPECT_NEAR(found->step.value, 100, 1e-9);
}

// Rank 1 waits from 10 to 40, rank 0 sends at 30: 20 ms of bubble, 10 of transfer.
TEST(TracedStep, ANeighbourIsWaitedForUntilItSends) {
  const OrderedJson trace = trace_of(
      {event(0, "send activation 0 to stage 1", "communication", 30, 31, "pipeline_transfers"),
       event(1, "step", "step", 0, 50),
       event(1, "wait for activation 0 to stage 1", "communication", 10, 40, kNeighbour)});
  const auto found = traced_step(trace, two_stages(), 1);
  ASSERT_TRUE(found);
  EXPECT_NEAR(found->ms[StepKind::kBubble], 20, 1e-9);
  EXPECT_NEAR(found->ms[StepKind::kTransfer], 10, 1e-9);
  const auto sender = traced_step(trace, two_stages(), 0);
  EXPECT_NEAR(sender->ms[StepKind::kTransfer], 1, 1e-9);
}

TEST(TracedStep, SeveralRanksAndStepsAreAveraged) {
  Plan plan;
  plan.world_size = 2;
  std::vector<OrderedJson> events;
  for (const int step : {3, 9}) {
    for (const int rank : {0, 1}) {
      events.push_back(event(rank, "step", "step", 100 * step, 100 * step + 40, "", step));
      events.push_back(
          event(rank, "F0", "forward", 100 * step, 100 * step + 10 * (rank + 1), "", step));
    }
  }
  const auto found = traced_step(trace_of(events), plan, 0);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->num_steps, 2);
  EXPECT_FALSE(found->tells_collectives);
  EXPECT_NEAR(found->ms[StepKind::kForward], 15, 1e-9);
  EXPECT_NEAR(found->step.value, 40, 1e-9);
}

TEST(TracedStep, WhatIsNoTraceHasNoStep) {
  for (const OrderedJson& trace :
       {OrderedJson(), OrderedJson::array(), OrderedJson{{"traceEvents", 3}},
        OrderedJson{{"traceEvents", {1, nullptr, "x"}}},
        trace_of({event(7, "F0", "forward", 0, 1)})}) {
    EXPECT_FALSE(traced_step(trace, two_stages(), 0)) << trace;
  }
}

RecordedPrediction prediction_of(StepKinds kinds) {
  RecordedPrediction out;
  out.kinds = kinds;
  return out;
}

TEST(StepComparison, PutsThePartsBesideEachOther) {
  TracedStep measured;
  measured.tells_collectives = true;
  measured.num_steps = 1;
  measured.ms[StepKind::kForward] = 12;
  measured.ms[StepKind::kTp] = 6;
  measured.ms[StepKind::kRest] = 2;
  measured.step = {20};
  StepKinds predicted;
  predicted[StepKind::kForward] = 10;
  predicted[StepKind::kBubble] = 5;
  const Plan plan = two_stages();
  const auto rows = compare_step(plan, measured, prediction_of(predicted));
  ASSERT_EQ(rows.size(), 5);
  EXPECT_EQ(rows[0].name, "forward");
  EXPECT_EQ(rows[0].predicted_ms, 10);
  EXPECT_EQ(rows[1].name, "TP");
  EXPECT_EQ(rows[2].name, "bubble");
  EXPECT_EQ(rows[2].measured_ms, 0);
  EXPECT_EQ(rows[3].name, "rest");
  EXPECT_FALSE(rows[3].predicted_ms);
  EXPECT_EQ(rows[4].name, "step");
  EXPECT_EQ(rows[4].predicted_ms, 15);
  const std::string table = step_comparison_table(rows, measured);
  EXPECT_NE(table.find("predicted"), std::string::npos);
  EXPECT_NE(table.find("1.20"), std::string::npos);
  const std::string alone = step_comparison_table(compare_step(plan, measured, {}), measured);
  EXPECT_EQ(alone.find("predicted"), std::string::npos);
  EXPECT_NE(alone.find("60 %"), std::string::npos);
}

TEST(StepComparison, WhatTheTraceDoesNotTellApartIsOneRow) {
  TracedStep measured;
  measured.tells_collectives = true;
  measured.ms[StepKind::kBackward] = 30;
  measured.step = {30};
  StepKinds predicted;
  predicted[StepKind::kBackward] = 20;
  predicted[StepKind::kRecompute] = 5;
  predicted[StepKind::kTp] = 4;
  Plan plan = two_stages();
  plan.layers[1].recompute = Recompute::kSelective;
  auto rows = compare_step(plan, measured, prediction_of(predicted));
  EXPECT_EQ(rows[0].name, "backward, recomputation");
  EXPECT_EQ(rows[0].predicted_ms, 25);
  measured.tells_collectives = false;
  rows = compare_step(plan, measured, prediction_of(predicted));
  EXPECT_EQ(rows[0].name, "layers with their collectives");
  EXPECT_EQ(rows[0].predicted_ms, 29);
}

}  // namespace
}  // namespace galvatron::plan
