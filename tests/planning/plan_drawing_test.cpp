#include "galvatron/planning/plan_drawing.h"

#include <algorithm>
#include <sstream>

#include <gtest/gtest.h>

#include "galvatron/base/terminal.h"

namespace galvatron::planning {
namespace {

plan::Plan two_stages() {
  plan::Plan plan;
  plan.world_size = 8;
  plan.global_batch = 8;
  plan.num_microbatches = 3;
  plan.pipeline = {2, plan::ScheduleKind::k1F1B, {3, 3}};
  plan.layers.assign(6, {.tp_degree = 2, .zero_stage = 3});
  plan.layers.front() = plan.layers.back() = {};
  return plan;
}

const std::vector<std::string> kNames = {"embedding", "block.0", "block.1",
                                         "block.2",   "block.3", "head"};

TEST(DrawStages, OneLetterPerLayer) {
  EXPECT_EQ(draw_stages(two_stages(), kNames),
            "  stage 0   ranks 0-3       ABB\n"
            "  stage 1   ranks 4-7       BBA\n"
            "     strategy   dp  layers\n"
            "  ─  ─────────  ──  ───────────────\n"
            "  A  dp          4  embedding, head\n"
            "  B  tp2 zero3   2  4 x block\n");
}

TEST(DrawStages, LongStagesGoOnBelow) {
  plan::Plan plan = two_stages();
  plan.pipeline = {1, plan::ScheduleKind::k1F1B, {100}};
  plan.layers.assign(100, {});
  const std::string text = draw_stages(plan, {}, 60);
  EXPECT_EQ(std::count(text.begin(), text.end(), 'A'), 101);  // and the legend's
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(display_width(line), 60u) << line;
}

TEST(GroupTable, NamesTheFirstGroups) {
  EXPECT_EQ(group_table(two_stages()),
            "     groups           number  ranks  first ones\n"
            "  ─  ───────────────  ──────  ─────  ───────────\n"
            "  A  same parameters       1      4  {0 1 2 3}\n"
            "  B  tensor parallel       2      2  {0 1} {2 3}\n"
            "  B  same parameters       2      2  {0 2} {1 3}\n"
            "     pipeline              4      2  {0 4} ..\n");
}

TEST(GroupTable, ShardedGroupsLieWithinTheReplicas) {
  plan::Plan plan = two_stages();
  plan.pipeline = {1, plan::ScheduleKind::k1F1B, {6}};
  plan.layers.assign(6, {.tp_degree = 2, .zero_stage = 3, .shard_degree = 2});
  EXPECT_EQ(group_table(plan),
            "     groups           number  ranks  first ones\n"
            "  ─  ───────────────  ──────  ─────  ────────────────────\n"
            "  A  tensor parallel       4      2  {0 1} {2 3} {4 5} ..\n"
            "  A  same parameters       2      4  {0 2 4 6} {1 3 5 7}\n"
            "  A  sharded over          4      2  {0 2} {1 3} {4 6} ..\n");
}

TEST(DrawTimeline, IsTheScheduleToScale) {
  EXPECT_EQ(draw_timeline(ideal_timeline(two_stages())),
            "  pp rank 0   01..aa2bb.cc\n"
            "  pp rank 1   .0aa1bb2cc..\n");
}

TEST(DrawTimeline, SeveralStagesOfARankShareItsLine) {
  plan::Plan plan = two_stages();
  plan.num_microbatches = 2;
  plan.pipeline = {2, plan::ScheduleKind::kInterleaved, {2, 1, 2, 1}};
  const std::string text = draw_timeline(ideal_timeline(plan));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  EXPECT_TRUE(text.starts_with("  pp rank 0   0")) << text;
}

TEST(DrawTimeline, ShowsBeginningAndEndOfALongOne) {
  plan::Plan plan = two_stages();
  plan.global_batch = plan.num_microbatches = 1000;
  const std::string text = draw_timeline(ideal_timeline(plan), 60);
  const std::string first = text.substr(0, text.find('\n'));
  EXPECT_LE(first.size(), 60u);
  EXPECT_EQ(first.substr(0, 24), "  pp rank 0   01..aa2bb3");
  EXPECT_NE(first.find(" ~ "), std::string::npos);
  EXPECT_EQ(first.substr(first.size() - 5), "ii.jj");
}

TEST(DrawPlan, IsStagesGroupsAndTimeline) {
  const plan::Plan plan = two_stages();
  EXPECT_EQ(draw_plan(plan, {}, ideal_timeline(plan), "as predicted"),
            draw_stages(plan, {}) + "\n" + group_table(plan) +
                "\n  schedule 1f1b, 3 microbatches, as predicted\n" +
                draw_timeline(ideal_timeline(plan)));
}

}  // namespace
}  // namespace galvatron::planning
