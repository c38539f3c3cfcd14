#include "galvatron/train/run_summary.h"

#include <gtest/gtest.h>

namespace galvatron::train {
namespace {

// Two stages of two ranks.
plan::Plan example_plan() {
  plan::Plan plan;
  plan.model = "gpt2-tiny";
  plan.world_size = 4;
  plan.pipeline = {2, plan::ScheduleKind::k1F1B, {2, 1}};
  plan.layers.resize(3);
  return plan;
}

OrderedJson example_cost() {
  const auto stage = [](int total) {
    return OrderedJson{{"memory", {{"total_bytes", total}, {"reserve_bytes", 100}}}};
  };
  return {{"step_ms", 125.0}, {"stages", {stage(1100), stage(600)}}};
}

std::vector<StepRecord> example_records() {
  std::vector<StepRecord> records(4);
  for (std::size_t i = 0; i < records.size(); ++i) {
    records[i].loss = 4.0 - static_cast<double>(i);
    records[i].tokens = 64;
    records[i].seconds = i == 0 ? 9 : static_cast<double>(i);  // the first step warms up
  }
  return records;
}

TEST(RunSummary, StandsBesideThePrediction) {
  plan::Plan plan = example_plan();
  plan.search = example_cost();
  const RunSummary summary = summarize(plan, "cpu", example_records(), {{1}, {2}, {3}, {4}});
  EXPECT_EQ(summary.step_seconds, 2) << "median without the first";
  EXPECT_EQ(summary.tokens_per_second, 32);
  const OrderedJson json = summary_to_json(summary, {{"seed", 1}});
  EXPECT_EQ(json["ranks"].size(), 4U);
  EXPECT_EQ(
      json["ranks"][2],
      (OrderedJson{
          {"rank", 2}, {"stage", 1}, {"peak_memory_bytes", 3}, {"predicted_memory_bytes", 500}}));
  EXPECT_EQ(json["step_seconds"], (OrderedJson{{"measured", 2.0}, {"predicted", 0.125}}));
  EXPECT_EQ(json["loss"], (OrderedJson{{"first", 4.0}, {"last", 1.0}}));
  EXPECT_EQ(json["options"]["seed"], 1);
  EXPECT_NE(summary_table(summary).find("predicted 125 ms, measured 2.00 s"), std::string::npos)
      << summary_table(summary);
}

TEST(RunSummary, IsReadAtThePaceOfTheDay) {
  plan::Plan plan = example_plan();
  plan.search = example_cost();
  RunSummary summary = summarize(plan, "cpu", example_records(), {{1}, {2}, {3}, {4}});
  EXPECT_FALSE(summary_to_json(summary, {})["step_seconds"].contains("slowdown"));
  summary.slowdown = 1.25;
  EXPECT_EQ(summary_to_json(summary, {})["step_seconds"]["predicted_at_this_pace"], 0.15625);
  const auto says = [&](const std::string& text) {
    return summary_table(summary).find(text) != std::string::npos;
  };
  EXPECT_TRUE(says("1.25 times as slow as when it was profiled: predicted 156 ms at this pace"));
  summary.slowdown = 0.8;
  EXPECT_TRUE(says("1.25 times as fast as when it was profiled: predicted 100 ms at this pace"));
  summary.slowdown = 1.04;
  EXPECT_FALSE(says("this pace"));
  EXPECT_TRUE(summary_to_json(summary, {})["step_seconds"].contains("slowdown"));
}

TEST(RunSummary, ARankShowsAllItsStages) {
  plan::Plan plan = example_plan();
  plan.pipeline = {2, plan::ScheduleKind::kInterleaved, {2, 1, 1, 3}};
  plan.layers.resize(7);
  plan.search = example_cost();
  plan.search["stages"].push_back(plan.search["stages"][0]);
  plan.search["stages"].push_back(plan.search["stages"][1]);
  const RunSummary summary = summarize(plan, "cpu", example_records(), {{1}, {2}, {3}, {4}});
  EXPECT_EQ(summary_to_json(summary, {})["ranks"][3], (OrderedJson{{"rank", 3},
                                                                   {"stage", 1},
                                                                   {"peak_memory_bytes", 4},
                                                                   {"predicted_memory_bytes", 500},
                                                                   {"stages", {1, 3}}}));
  const std::string table = summary_table(summary);
  EXPECT_NE(table.find("4 stages on 2 pipeline ranks, interleaved"), std::string::npos) << table;
  EXPECT_NE(table.find("0-1, 3-3"), std::string::npos) << table;
}

TEST(RunSummary, WithoutAPredictionSaysSo) {
  const RunSummary summary =
      summarize(example_plan(), "cpu", example_records(), {{1}, {2}, {3}, {4}});
  EXPECT_TRUE(summary_to_json(summary, {})["step_seconds"]["predicted"].is_null());
  EXPECT_NE(summary_table(summary).find("predicted -"), std::string::npos)
      << summary_table(summary);
}

}  // namespace
}  // namespace galvatron::train
