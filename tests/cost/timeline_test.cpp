#include "galvatron/cost/timeline.h"

#include <gtest/gtest.h>

#include "galvatron/base/error.h"

namespace galvatron::cost {
namespace {

StageTimes stage(double forward, double backward, double transfer = 0) {
  StageTimes out;
  out.forward = {{forward}};
  out.backward = {{backward}};
  out.transfer = {transfer};
  return out;
}

std::string of_stage(const Timeline& timeline, int stage) {
  std::string out;
  for (const TimelineEvent& event : timeline.events) {
    if (event.stage != stage || event.kind == EventKind::kTransfer) continue;
    out += to_text(event) + "@" + std::to_string(static_cast<int>(event.start.value)) + " ";
  }
  return out;
}

TEST(Simulate, OneFOneBOnTwoStages) {
  const Timeline timeline = simulate(plan::ScheduleKind::k1F1B, 3, {stage(1, 2), stage(1, 2)});
  EXPECT_EQ(of_stage(timeline, 0), "F0@0 F1@1 B0@4 F2@6 B1@7 B2@10 ");
  EXPECT_EQ(of_stage(timeline, 1), "F0@1 B0@2 F1@4 B1@5 F2@7 B2@8 ");
  EXPECT_DOUBLE_EQ(timeline.total.value, 12);  // (m + p - 1) * 3
  EXPECT_DOUBLE_EQ(timeline.busy[0].value, 9);
  EXPECT_DOUBLE_EQ(timeline.bubble_fraction, 1 - 18.0 / 24);
}

TEST(Simulate, GPipeOnTwoStages) {
  const Timeline timeline = simulate(plan::ScheduleKind::kGPipe, 2, {stage(1, 2), stage(1, 2)});
  EXPECT_EQ(of_stage(timeline, 0), "F0@0 F1@1 B1@5 B0@7 ");
  EXPECT_EQ(of_stage(timeline, 1), "F0@1 F1@2 B1@3 B0@5 ");
}

TEST(Simulate, TransfersTakeTimeAndQueue) {
  const Timeline timeline = simulate(plan::ScheduleKind::kGPipe, 2, {stage(1, 1, 3), stage(1, 1)});
  // F0 arrives at 4; F1 leaves at 4, after it, and arrives at 7.
  EXPECT_EQ(of_stage(timeline, 1), "F0@4 F1@7 B1@8 B0@9 ");
}

TEST(Simulate, OncePerStepWorkFollowsTheLastStep) {
  StageTimes first = stage(1, 1), second = stage(1, 1);
  first.gradient_sync = {5};
  second.gradient_sync = {1};
  second.update = {2};
  const Timeline timeline = simulate(plan::ScheduleKind::k1F1B, 1, {first, second});
  EXPECT_DOUBLE_EQ(timeline.pipeline.value, 4);
  EXPECT_DOUBLE_EQ(timeline.total.value, 9);
  EXPECT_EQ(of_stage(timeline, 1), "F0@1 B0@2 reduce gradients@3 update@4 ");
}

TEST(Simulate, MicrobatchesMayDiffer) {
  StageTimes times;
  times.forward = {{1}, {10}};
  times.backward = {{2}, {20}};
  EXPECT_DOUBLE_EQ(simulate(plan::ScheduleKind::k1F1B, 2, {times}).total.value, 33);
}

TEST(Simulate, RefusesListsThatNeverFinish) {
  using plan::Action;
  const std::vector<std::vector<plan::Step>> lists = {
      {{Action::kBackward, 0}, {Action::kForward, 0}},
      {{Action::kForward, 0}, {Action::kBackward, 0}}};
  EXPECT_THROW(simulate(lists, {stage(1, 1), stage(1, 1)}), InternalError);
}

TEST(Simulate, ChromeTraceHasOneEventForEachStep) {
  const Timeline timeline = simulate(plan::ScheduleKind::k1F1B, 2, {stage(1, 2, 1), stage(1, 2)});
  const OrderedJson trace = to_chrome_trace(timeline, "tiny");
  int complete = 0;
  for (const auto& event : trace["traceEvents"]) complete += event["ph"] == "X" ? 1 : 0;
  EXPECT_EQ(complete, 8 + 4);  // steps and transfers
  EXPECT_EQ(complete, static_cast<int>(timeline.events.size()));
  EXPECT_EQ(trace["traceEvents"][5]["ph"], "X");
  EXPECT_EQ(trace["traceEvents"][5]["dur"], 1000.0);
}

TEST(Simulate, InterleavedStagesGoRoundTheRanks) {
  const std::vector<StageTimes> stages(4, stage(1, 2));
  const Timeline timeline = simulate(plan::ScheduleKind::kInterleaved, 2, stages, 2);
  EXPECT_EQ(of_stage(timeline, 0), "F0@0 F1@1 B0@11 B1@13 ");
  EXPECT_EQ(of_stage(timeline, 2), "F0.1@2 F1.1@3 B0.1@6 B1.1@9 ");
  EXPECT_EQ(of_stage(timeline, 3), "F0.1@3 B0.1@4 F1.1@6 B1.1@7 ");
  EXPECT_EQ(timeline.busy.size(), 2u);
  EXPECT_DOUBLE_EQ(timeline.total.value, 15);  // (2 m + p - 1) * 3
  const OrderedJson trace = to_chrome_trace(timeline, "tiny");
  EXPECT_EQ(trace["traceEvents"][3]["args"]["name"], "pipeline rank 1");
}

// The last rank hands what chunk 0 made to the first.
TEST(Simulate, InterleavedTransfersWrapAround) {
  const std::vector<StageTimes> stages(4, stage(1, 1, 3));
  const Timeline timeline = simulate(plan::ScheduleKind::kInterleaved, 1, stages, 2);
  EXPECT_EQ(of_stage(timeline, 2), "F0.1@8 B0.1@17 ");
  EXPECT_DOUBLE_EQ(timeline.total.value, 8 * 1 + 6 * 3);
}

// --- lowered lists ---

// Two pipeline ranks of two layers each; every layer is a unit that is gathered and reduced.
struct LoweredPipeline {
  std::vector<std::vector<plan::Step>> lists;
  std::vector<RankTraffic> traffic;

  LoweredPipeline(int num_microbatches, double gather_ms, double reduce_ms) {
    for (int rank = 0; rank < 2; ++rank) {
      RankTraffic& one = traffic.emplace_back();
      const int first = 2 * rank;
      one.parts.layers = {{first, first + 2}};
      one.parts.changes_layout.assign(4, false);
      for (int layer = first; layer < first + 2; ++layer) {
        one.parts.units.push_back({{layer}, true, true, ""});
      }
      one.units.assign(2, {{{gather_ms}, {}}, {{reduce_ms}, {}}, {}, {}});
      const auto compute =
          plan::make_schedule(plan::ScheduleKind::k1F1B, rank, 2, num_microbatches);
      lists.push_back(plan::lower(compute, rank, 2, one.parts));
    }
  }
};

TEST(SimulateLowered, IsTheSameWhereCommunicationTakesNoTime) {
  const std::vector<StageTimes> stages = {stage(1, 2, 0.5), stage(3, 4)};
  for (int m = 1; m <= 9; ++m) {
    const LoweredPipeline lowered(m, 0, 0);
    const Timeline whole = simulate(plan::ScheduleKind::k1F1B, m, stages);
    const Timeline layers = simulate(lowered.lists, stages, lowered.traffic);
    EXPECT_DOUBLE_EQ(layers.total.value, whole.total.value);
    ASSERT_EQ(layers.events.size(), whole.events.size());
    for (std::size_t i = 0; i < whole.events.size(); ++i) {
      EXPECT_EQ(to_text(layers.events[i]), to_text(whole.events[i]));
      EXPECT_DOUBLE_EQ(layers.events[i].start.value, whole.events[i].start.value);
    }
  }
}

// One rank, one microbatch, layers of 2 ms forward and 4 ms backward.
TEST(SimulateLowered, CommunicationRunsOnALaneBesideTheLayers) {
  const auto total = [](double gather_ms, double reduce_ms) {
    LoweredPipeline lowered(1, gather_ms, reduce_ms);
    lowered.traffic.resize(1);
    lowered.lists = {plan::lower(plan::make_schedule(plan::ScheduleKind::k1F1B, 0, 1, 1), 0, 1,
                                 lowered.traffic[0].parts)};
    return simulate(lowered.lists, {stage(4, 8)}, lowered.traffic).total.value;
  };
  EXPECT_DOUBLE_EQ(total(0, 0), 12);
  EXPECT_DOUBLE_EQ(total(1, 0), 12 + 1 + 1);  // the first forward's, and the turn's own
  EXPECT_DOUBLE_EQ(total(0, 1), 12 + 1);      // one behind the layer before, the last one alone
  EXPECT_DOUBLE_EQ(total(0, 5), 12 - 4 + 5 + 5);
}

// As Overlap::together_ms() says: of the second layer's forward and the first's backward.
TEST(SimulateLowered, BothAreSlowerWhileBothRun) {
  const auto total = [](double gather_ms, const profiles::Overlap& overlap) {
    LoweredPipeline lowered(1, gather_ms, 0);
    lowered.traffic.resize(1);
    for (UnitTime& unit : lowered.traffic[0].units) unit.gather.overlap = overlap;
    lowered.lists.resize(1);
    lowered.lists[0] = plan::lower(plan::make_schedule(plan::ScheduleKind::k1F1B, 0, 1, 1), 0, 1,
                                   lowered.traffic[0].parts);
    return simulate(lowered.lists, {stage(4, 8)}, lowered.traffic).total.value;
  };
  // Gathers: of layer 0 alone, of 1 beside it; of 1 again alone, of 0 beside it.
  for (const profiles::Overlap overlap :
       {profiles::Overlap{1, 1}, {1.5, 1.5}, {3, 3}, {1.25, 2}, {2, 1.25}}) {
    for (const double gather : {1.0, 2.0, 3.0, 7.0}) {
      const double expected =
          gather + overlap.together_ms(2, gather) + 2 + gather + overlap.together_ms(4, gather) + 4;
      EXPECT_NEAR(total(gather, overlap), expected, 1e-12)
          << gather << " " << overlap.compute << " " << overlap.communication;
    }
  }
}

// On links of their own reductions go on; on the same ones they wait.
TEST(SimulateLowered, CollectivesOfALayerKeepTheirLinks) {
  const auto total = [](const ByLinks& reduce, double compute) {
    LoweredPipeline lowered(1, 0, 0);
    lowered.traffic.resize(1);
    for (UnitTime& unit : lowered.traffic[0].units) unit.reduce = {reduce, {}};
    lowered.lists = {plan::lower(plan::make_schedule(plan::ScheduleKind::k1F1B, 0, 1, 1), 0, 1,
                                 lowered.traffic[0].parts)};
    StageTimes times;
    const ByLinks own{{1}, {}};
    const LayerPasses layer{{{own, {2}}}, {{own, {compute}}}};
    times.layers = {layer, layer};
    return simulate(lowered.lists, {times}, lowered.traffic).total.value;
  };
  // Forwards 6, backwards 5 and 5; the first reduction is beside the second backward, the last one
  // alone.
  const ByLinks intra{{3}, {}}, inter{{}, {3}};
  EXPECT_DOUBLE_EQ(total(inter, 4), 6 + 5 + 5 + 3);
  EXPECT_DOUBLE_EQ(total(intra, 4), 6 + 5 + 5 + 3);
  // Of 3 ms 2 run beside the second backward, or 1.
  EXPECT_DOUBLE_EQ(total(inter, 1), 6 + 2 + 2 + 1 + 3);
  EXPECT_DOUBLE_EQ(total(intra, 1), 6 + 2 + 2 + 2 + 3);
}

// What is sent to the stage before waits for no reduction, as in the executor.
TEST(SimulateLowered, AListThatNamesTransfersSendsWhereItSays) {
  const LoweredPipeline lowered(1, 0, 2);
  const Timeline timeline = simulate(lowered.lists, {stage(1, 2), stage(1, 2)}, lowered.traffic);
  // Stage 1: 1 to 4, reductions of layer 3 beside layer 2 and until 5, of layer 2 until 7.
  EXPECT_EQ(of_stage(timeline, 0), "F0@0 B0@4 reduce 1@5 reduce 0@7 ");
  EXPECT_DOUBLE_EQ(timeline.total.value, 9);
}

TEST(SimulateLowered, ATieWaitsForAllThatHoldACopy) {
  LoweredPipeline lowered(1, 0, 0);
  for (int rank = 0; rank < 2; ++rank) {
    RankTraffic& traffic = lowered.traffic[static_cast<std::size_t>(rank)];
    traffic.parts.units[0].tie = "word";
    traffic.units[0].tie = {5};
    const auto compute = plan::make_schedule(plan::ScheduleKind::k1F1B, rank, 2, 1);
    lowered.lists[static_cast<std::size_t>(rank)] = plan::lower(compute, rank, 2, traffic.parts);
  }
  const Timeline timeline = simulate(lowered.lists, {stage(1, 2), stage(1, 2)}, lowered.traffic);
  EXPECT_EQ(of_stage(timeline, 0), "F0@0 B0@4 tie 0@6 ");
  EXPECT_EQ(of_stage(timeline, 1), "F0@1 B0@2 tie 0@6 ");
  EXPECT_DOUBLE_EQ(timeline.pipeline.value, 6);
  EXPECT_DOUBLE_EQ(timeline.total.value, 11);
}

TEST(SimulateLowered, TheTraceHasALaneForIt) {
  const LoweredPipeline lowered(1, 1, 1);
  const Timeline timeline = simulate(lowered.lists, {stage(1, 2), stage(1, 2)}, lowered.traffic);
  const OrderedJson trace = to_chrome_trace(timeline, "tiny");
  int gathers = 0, reductions = 0;
  for (const auto& event : trace["traceEvents"]) {
    if (event["ph"] != "X") continue;
    const bool on_lane = event["tid"].get<int>() >= 4;
    EXPECT_EQ(on_lane, event["cat"] == "gather" || event["cat"] == "reduce");
    gathers += event["cat"] == "gather" ? 1 : 0;
    reductions += event["cat"] == "reduce" ? 1 : 0;
  }
  EXPECT_GE(gathers, 4);
  EXPECT_EQ(reductions, 4);
  EXPECT_EQ(trace["traceEvents"][5]["args"]["name"], "stage 0 gathers and reduces");
}

// Half of a backward is the input's gradient, which the stage before waits for.
TEST(Simulate, WeightGradientsMayWait) {
  using plan::Action;
  const std::vector<std::vector<plan::Step>> lists = {
      {{Action::kForward, 0}, {Action::kBackward, 0}, {Action::kWeightGradient, 0}},
      {{Action::kForward, 0}, {Action::kBackward, 0}, {Action::kWeightGradient, 0}}};
  const Timeline timeline = simulate(lists, {stage(1, 2), stage(1, 2)});
  EXPECT_EQ(of_stage(timeline, 0), "F0@0 B0@3 W0@4 ");
  EXPECT_EQ(of_stage(timeline, 1), "F0@1 B0@2 W0@3 ");
}

}  // namespace
}  // namespace galvatron::cost
