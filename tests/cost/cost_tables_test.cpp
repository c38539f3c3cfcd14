#include "galvatron/cost/cost_tables.h"

#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "galvatron/cost/layer_memory.h"
#include "galvatron/cost/layer_time.h"
#include "galvatron/plan/schedules.h"

#include "cost/example_costs.h"

namespace galvatron::cost {
namespace {

LayerCost random_cost(std::mt19937_64& random) {
  const auto bytes = [&] { return std::uniform_int_distribution<std::int64_t>(0, 1000)(random); };
  LayerCost out;
  out.state_bytes = bytes();
  out.activation_bytes = bytes();
  out.gathered_bytes = bytes();
  out.reducing_bytes = bytes();
  out.parameter_gradient_bytes = bytes();
  out.forward_workspace_bytes = bytes();
  out.backward_workspace_bytes = bytes();
  return out;
}

// One type per layer, one candidate each: the whole model is stage 0 of 1.
CostTables chain(std::vector<LayerCost> layers) {
  CostTables tables;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    tables.type_of_layer.push_back(static_cast<int>(i));
    tables.cost.push_back({layers[i]});
  }
  tables.layouts = {{1, 1}};
  tables.borders = {{{0}, 0}};
  tables.border_behind.assign(layers.size(), 0);
  return tables;
}

std::int64_t peak_of(const CostTables& tables) {
  const std::vector<int> choice(tables.type_of_layer.size(), 0);
  return stage_memory_peak(tables, choice, {0, tables.num_layers()}, 0).total();
}

// Live bytes of one microbatch going forward and back, moment by moment as the runtime does it.
std::int64_t walked_peak(const std::vector<LayerCost>& layers) {
  const auto n = static_cast<int>(layers.size());
  const auto at = [&](int i) {
    return i < 0 || i >= n ? LayerCost{} : layers[static_cast<std::size_t>(i)];
  };
  std::int64_t states = 0, kept = 0, peak = 0;
  for (const LayerCost& layer : layers) states += layer.state_bytes;
  for (int i = 0; i < n; ++i) {
    kept += at(i).activation_bytes;
    peak = std::max(peak, kept + at(i).gathered_bytes + at(i + 1).gathered_bytes +
                              at(i).forward_workspace_bytes);
  }
  for (int i = n - 1; i >= 0; --i) {
    const std::int64_t around = at(i - 1).gathered_bytes + at(i + 1).reducing_bytes;
    peak = std::max(peak, kept + around + at(i).gathered_bytes + at(i).backward_workspace_bytes);
    kept -= at(i).activation_bytes;
    peak = std::max(peak, kept + around + at(i).parameter_gradient_bytes + at(i).reducing_bytes);
  }
  return states + peak;
}

TEST(StageMemoryPeak, IsTheWalkedPeak) {
  constexpr std::uint64_t kSeed = 3;
  std::mt19937_64 random(kSeed);
  for (int i = 0; i < 1000; ++i) {
    std::vector<LayerCost> layers(std::uniform_int_distribution<std::size_t>(1, 8)(random));
    for (LayerCost& layer : layers) layer = random_cost(random);
    EXPECT_EQ(peak_of(chain(layers)), walked_peak(layers)) << "seed " << kSeed << ", case " << i;
  }
}

TEST(StageMemoryPeak, EarlierStagesHoldMoreMicrobatches) {
  const Example example;
  const CostTables tables = build_cost_tables(example.inputs(), {2, 4, 4}, {{{}}, {{}}, {{}}});
  const std::vector<int> choice(4, 0);
  const MemoryPeak one = stage_memory_peak(tables, choice, {1, 3}, 1);
  const MemoryPeak two = stage_memory_peak(tables, choice, {1, 3}, 0);
  EXPECT_EQ(two.total() - one.total(),
            tables.layer_cost(1, 0).activation_bytes + tables.layer_cost(2, 0).activation_bytes);
  EXPECT_EQ(one.reserve_bytes, 5000);
  EXPECT_EQ(one.state_bytes, 2 * 16 * kBlockElements);
}

// Two stages of a rank, walked step by step: what all microbatches in flight keep, and the newest
// of the stage that runs as it goes through it alone.
TEST(RankMemoryPeak, IsTheLargestOverTheStepsOfTheSchedule) {
  constexpr std::uint64_t kSeed = 6;
  std::mt19937_64 random(kSeed);
  for (int round = 0; round < 100; ++round) {
    std::vector<LayerCost> layers;
    for (int i = 0; i < 8; ++i) layers.push_back(random_cost(random));
    CostTables tables = chain(layers);
    const int m = std::uniform_int_distribution<int>(1, 9)(random);
    tables.shape = {2, 1, m, plan::ScheduleKind::kInterleaved, 2};
    CostTables alone = tables;
    alone.shape = {1, 1, 1};
    const std::vector<int> choice(8, 0);
    const std::vector<Range> stages = {{0, 3}, {5, 8}};  // of rank 0
    std::int64_t states = 0, activations[2] = {}, running[2] = {};
    for (int c = 0; c < 2; ++c) {
      const MemoryPeak peak =
          stage_memory_peak(alone, choice, stages[static_cast<std::size_t>(c)], 0);
      states += peak.state_bytes;
      running[c] = peak.activation_bytes + peak.transient_bytes;
      for (auto i = stages[static_cast<std::size_t>(c)].begin;
           i < stages[static_cast<std::size_t>(c)].end; ++i) {
        activations[c] += layers[static_cast<std::size_t>(i)].activation_bytes;
      }
    }
    std::int64_t kept = 0, largest = 0;
    for (const plan::Step& step : plan::schedule_interleaved_1f1b(0, 2, 2, m)) {
      const bool forward = step.action == plan::Action::kForward;
      if (!forward) kept -= activations[step.chunk];
      largest = std::max(largest, kept + running[step.chunk]);
      if (forward) kept += activations[step.chunk];
    }
    EXPECT_EQ(rank_memory_peak(tables, choice, stages, flight_moments(tables.shape, 0)).total(),
              states + largest)
        << "seed " << kSeed << ", round " << round;
  }
}

TEST(BuildCostTables, HoldsWhatTheLayerFormulasSay) {
  const Example example;
  const PipelineShape shape{1, 4, 2};
  const std::vector<plan::LayerStrategy> candidates = {
      {},
      {.tp_degree = 2, .zero_stage = 3},
      {.ulysses_degree = 4, .recompute = plan::Recompute::kFull}};
  const CostTables tables = build_cost_tables(example.inputs(), shape, {{{}}, candidates, {{}}});
  EXPECT_EQ(tables.type_of_layer, (std::vector<int>{0, 1, 1, 2}));
  EXPECT_EQ(tables.tied_types.size(), 2U);
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const LayerCost& cost = tables.layer_cost(2, static_cast<int>(c));
    const ParamUnits units = shape_units(example.inputs(), shape, 2, candidates[c]);
    const LayerTime time = layer_time(example.inputs(), shape, 2, candidates[c], units, 4);
    EXPECT_DOUBLE_EQ(cost.forward_ms, time.forward.total().value);
    EXPECT_DOUBLE_EQ(cost.backward_ms, time.backward.total().value);
    EXPECT_DOUBLE_EQ(cost.once_ms, time.once().value);
    EXPECT_EQ(tables.layouts[static_cast<std::size_t>(cost.layout)],
              plan::RankLayout(candidates[c], 4).tokens());
  }
  EXPECT_EQ(tables.layouts.size(), 3u);
  EXPECT_EQ(tables.borders.size(), 1u);
  EXPECT_EQ(tables.border(1).transfer_ms, 0);
  for (int from = 0; from < 3; ++from) EXPECT_EQ(tables.transition(1, from, from), 0);
  EXPECT_GT(tables.transition(1, 0, 1), 0);
}

TEST(BuildCostTables, MicrobatchesOfTwoSizesAreAveraged) {
  Example example;
  example.job.global_batch = 6;  // over 4 microbatches: 1 2 1 2; one rank
  const CostTables tables = build_cost_tables(example.inputs(), {1, 1, 4}, {{{}}, {{}}, {{}}});
  const double large = example.profile.lookup(1, 1, 2).forward.value;
  const double small = example.profile.lookup(1, 1, 1).forward.value;
  ASSERT_NE(large, small);
  EXPECT_NEAR(tables.layer_cost(1, 0).forward_ms, (large + small) / 2, 1e-9);
}

TEST(StageNumbers, ChargeBordersAndTransitionsToTheLaterLayer) {
  const Example example;
  const CostTables tables =
      build_cost_tables(example.inputs(), {2, 4, 2}, {{{}}, {{}, {.tp_degree = 2}}, {{}}});
  const std::vector<int> choice = {0, 0, 1, 0};
  const StageNumbers first = stage_numbers(tables, choice, {0, 2}, 0);
  const StageNumbers second = stage_numbers(tables, choice, {2, 4}, 1);
  const double change = tables.transition(1, 0, 1);
  ASSERT_GT(change, 0);
  const double border_ms = tables.border(2).transfer_ms;
  ASSERT_GT(border_ms, 0);
  EXPECT_DOUBLE_EQ(first.forward_ms,
                   tables.layer_cost(0, 0).forward_ms + tables.layer_cost(1, 0).forward_ms);
  EXPECT_DOUBLE_EQ(first.backward_ms, tables.layer_cost(0, 0).backward_ms +
                                          tables.layer_cost(1, 0).backward_ms + border_ms);
  EXPECT_NEAR(second.forward_ms, tables.layer_cost(2, 1).forward_ms + border_ms + 2 * change,
              1e-12);
  EXPECT_NEAR(
      second.backward_ms,
      tables.layer_cost(2, 1).backward_ms + tables.layer_cost(3, 0).backward_ms + 2 * change,
      1e-12);
}

}  // namespace
}  // namespace galvatron::cost
