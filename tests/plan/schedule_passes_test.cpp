#include "galvatron/plan/schedule_passes.h"

#include <gtest/gtest.h>

namespace galvatron::plan {
namespace {

// Three layers on one rank, of which the middle one has another layout and the last one the loss.
RankParts three_layers(std::vector<UnitTraffic> units) {
  return {{{0, 3}}, std::move(units), {false, true, true}, 2};
}

std::string lowered(int num_microbatches, const RankParts& parts) {
  return to_text(lower(make_schedule(ScheduleKind::k1F1B, 0, 1, num_microbatches), 0, 1, parts));
}

TEST(SplitLayers, RunsForwardUpAndBackwardDownWithChangesOfLayout) {
  EXPECT_EQ(lowered(1, three_layers({})), "F0:0 mA0:1 F0:1 mA0:2 F0:2 B0:2 mG0:2 B0:1 mG0:1 B0:0");
}

TEST(SplitLayers, LeavesWeightGradientsOneStep) {
  const std::vector<Step> steps = {
      {Action::kForward, 0}, {Action::kBackward, 0}, {Action::kWeightGradient, 0}};
  EXPECT_EQ(to_text(split_layers(steps, {{{0, 2}}, {}, {false, false}, -1})),
            "F0:0 F0:1 B0:1 B0:0 W0");
}

TEST(PostReceives, GoOneComputeStepAhead) {
  const auto posted = [](int pp_rank) {
    return to_text(post_receives(
        add_transfers(make_schedule(ScheduleKind::k1F1B, pp_rank, 3, 2), pp_rank, 3)));
  };
  EXPECT_EQ(posted(0), "F0 sA0 pG0 F1 sA1 pG1 rG0 B0 rG1 B1");
  EXPECT_EQ(posted(1), "pA0 pA1 rA0 F0 sA0 pG0 rA1 F1 sA1 pG1 rG0 B0 sG0 rG1 B1 sG1");
  EXPECT_EQ(posted(2), "pA0 rA0 F0 pA1 B0 sG0 rA1 F1 B1 sG1");
}

// A unit of whole gradients is reduced when its last layer has done its last microbatch, behind the
// backward of the layer before.
TEST(AddReductions, OncePerStepWithoutShards) {
  EXPECT_EQ(lowered(2, {{{0, 2}}, {{{0}}, {{1}}}, {false, false}, -1}),
            "F0:0 F0:1 B0:1 A0:1 B0:0 A0:0 F1:0 F1:1 B1:1 A1:1 R:1 B1:0 A1:0 R:0 wR:1 wR:0");
  // Both layers use one unit.
  EXPECT_EQ(lowered(1, {{{0, 2}}, {{{0, 1}}}, {false, false}, -1}),
            "F0:0 F0:1 B0:1 A0:1 B0:0 A0:0 R:0 wR:0");
}

TEST(AddReductions, EveryMicrobatchWithShards) {
  const UnitTraffic first{{0}, false, true, ""}, second{{1}, false, true, ""};
  EXPECT_EQ(lowered(2, {{{0, 2}}, {first, second}, {false, false}, -1}),
            "F0:0 F0:1 B0:1 A0:1 R0:1 B0:0 A0:0 R0:0 wR:1 wR:0 "
            "F1:0 F1:1 B1:1 A1:1 R1:1 B1:0 A1:0 R1:0 wR:1 wR:0");
}

// Four layers, whose units reduce 10 bytes each.
std::string reductions_of_four(std::optional<std::int64_t> window, bool costly) {
  RankParts parts{{{0, 4}}, {}, {false, false, false, false}, -1};
  for (const int layer : {0, 1, 2, 3}) {
    UnitTraffic& unit = parts.units.emplace_back(UnitTraffic{{layer}});
    unit.reduced_bytes = 10;
    unit.reduction_is_costly = costly;
  }
  parts.reduce_window = window;
  return lowered(1, parts);
}

// Beside those of the layer behind, the oldest are finished first.
TEST(AddReductions, AsManyUnderWayAsTheWindowHolds) {
  const std::string forward = "F0:0 F0:1 F0:2 F0:3 ";
  const std::string behind_the_next =
      forward + "B0:3 A0:3 R:3 B0:2 A0:2 R:2 wR:3 B0:1 A0:1 R:1 wR:2 B0:0 A0:0 R:0 wR:1 wR:0";
  EXPECT_EQ(reductions_of_four(std::nullopt, true), behind_the_next);
  EXPECT_EQ(reductions_of_four(0, false), behind_the_next);
  EXPECT_EQ(reductions_of_four(9, true), behind_the_next);
  EXPECT_EQ(
      reductions_of_four(10, true),
      forward + "B0:3 A0:3 R:3 B0:2 A0:2 R:2 B0:1 A0:1 R:1 wR:3 B0:0 A0:0 R:0 wR:2 wR:1 wR:0");
  // What costs nothing is waited for in the end.
  const std::string in_the_end =
      forward + "B0:3 A0:3 R:3 B0:2 A0:2 R:2 B0:1 A0:1 R:1 B0:0 A0:0 R:0 wR:3 wR:2 wR:1 wR:0";
  EXPECT_EQ(reductions_of_four(std::nullopt, false), in_the_end);
  EXPECT_EQ(reductions_of_four(1000, true), in_the_end);
}

TEST(AddReductions, TiesComeLastInTheOrderOfTheirNames) {
  const UnitTraffic word{{0}, false, false, "word"}, bias{{1}, false, false, "bias"};
  EXPECT_EQ(lowered(1, {{{0, 2}}, {word, bias}, {false, false}, -1}),
            "F0:0 F0:1 B0:1 A0:1 R:1 B0:0 A0:0 R:0 wR:1 wR:0 T:1 T:0");
}

// One layer ahead, behind the last layer what computes next; the loss layer's forward uses nothing.
TEST(AddGathers, LookOneLayerAhead) {
  const auto unit = [](int layer) { return UnitTraffic{{layer}, true, true, ""}; };
  const std::string forward = "G:0 G:1 F0:0 X:0 mA0:1 G:2 F0:1 X:1 mA0:2 F0:2 ";
  EXPECT_EQ(lowered(1, three_layers({unit(0), unit(1), unit(2)})),
            forward +
                "G:1 B0:2 X:2 A0:2 R0:2 mG0:2 G:0 B0:1 X:1 A0:1 R0:1 wR:2 mG0:1 "
                "B0:0 X:0 A0:0 R0:0 wR:1 wR:0");
}

// Four layers of 10 bytes: those behind the next one too, but none that is freed before its use.
TEST(AddGathers, AsFarAheadAsTheWindowHolds) {
  RankParts parts{{{0, 4}}, {}, {false, false, false, false}, -1};
  for (const int layer : {0, 1, 2, 3}) {
    UnitTraffic& unit = parts.units.emplace_back(UnitTraffic{{layer}, true});
    unit.gathered_bytes = 10;
  }
  const auto with_window = [&](std::int64_t window) {
    parts.gather_window = window;
    std::vector<Step> steps = split_layers({{Action::kForward, 0}, {Action::kBackward, 0}}, parts);
    return to_text(add_gathers(steps, parts));
  };
  EXPECT_EQ(with_window(9),
            "G:0 G:1 F0:0 X:0 G:2 F0:1 X:1 G:3 F0:2 X:2 F0:3 X:3 "
            "G:3 G:2 B0:3 X:3 G:1 B0:2 X:2 G:0 B0:1 X:1 B0:0 X:0");
  EXPECT_EQ(with_window(10),
            "G:0 G:1 G:2 F0:0 X:0 G:3 F0:1 X:1 F0:2 X:2 F0:3 X:3 "
            "G:3 G:2 G:1 B0:3 X:3 G:0 B0:2 X:2 B0:1 X:1 B0:0 X:0");
}

TEST(AddGathers, TheNextStepsFirstLayerBehindTheLast) {
  EXPECT_EQ(lowered(2, {{{0, 1}}, {{{0}, true, true, ""}}, {false}, -1}),
            "G:0 F0:0 X:0 G:0 B0:0 X:0 A0:0 R0:0 wR:0 G:0 F1:0 X:0 G:0 B1:0 X:0 A1:0 R1:0 wR:0");
}

}  // namespace
}  // namespace galvatron::plan
