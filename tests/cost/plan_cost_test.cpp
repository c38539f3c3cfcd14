#include "galvatron/cost/plan_cost.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "galvatron/cost/cost_tables.h"
#include "galvatron/cost/plan_timeline.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/plan/param_units.h"
#include "galvatron/profiles/analytic.h"

#include "cost/example_costs.h"

namespace galvatron::cost {
namespace {

TEST(PlanCost, OneRankIsTheSumOfItsLayers) {
  Example example;
  example.hardware.optimizer_ns_per_element = 0;
  const PlanCost cost = estimate(example.inputs(), example.plan(1, {}));
  // 8 samples: embedding 2, two blocks 12, head 9 ms each.
  EXPECT_NEAR(cost.step_time.value, 8 * (2 + 2 * 12 + 9), 1e-9);
  EXPECT_NEAR(cost.simulated_time.value, cost.step_time.value, 1e-9);
  EXPECT_NEAR(cost.compute.value, cost.step_time.value, 1e-9);
  EXPECT_NEAR(cost.exposed_communication.value, 0, 1e-9);
  EXPECT_NEAR(cost.bubble.value, 0, 1e-9);
  EXPECT_NEAR(cost.tokens_per_second, 8 * 64 / cost.step_time.value * 1000, 1e-6);
}

TEST(PlanCost, OneRankHoldsSixteenBytesAParameterAndTheActivations) {
  const Example example;
  const PlanCost cost = estimate(example.inputs(), example.plan(1, {}, 1, 8));
  const StageMemory& memory = cost.stages[0].memory;
  EXPECT_EQ(memory.states.total().value, 16 * example.model.num_params());
  EXPECT_EQ(memory.reserve.value, 5000);
  EXPECT_EQ(cost.peak_memory(), memory.total());
  EXPECT_LE(memory.activations.value, 16 + 2 * (64 * 64 * 4 + 1000) + 64 * 64 * 4);
}

TEST(PlanCost, ASplitThatAddsUp) {
  const Example example;
  for (const int pp : {1, 2, 4}) {
    for (const int zero : {0, 1, 2, 3}) {
      const plan::Plan plan = example.plan(8, {.tp_degree = 2, .zero_stage = zero}, pp, 4);
      ASSERT_EQ(plan::check_plan(plan, example.model), std::nullopt);
      const PlanCost cost = estimate(example.inputs(), plan);
      EXPECT_NEAR((cost.compute + cost.exposed_communication + cost.bubble).value,
                  cost.step_time.value, 1e-9);
      EXPECT_EQ(cost.stages.size(), static_cast<std::size_t>(pp));
      EXPECT_EQ(cost.layers.size(), plan.layers.size());
    }
  }
}

// Nothing to gather or to reduce: what the formula adds up is what the lists take, or more.
TEST(PlanCost, TheFormulaIsNeverBelowTheListsOfUnshardedLayers) {
  const Example example;
  for (const int pp : {1, 2, 4}) {
    const plan::Plan plan = example.plan(2 * pp, {.tp_degree = 2}, pp, 4);
    const PlanCost cost = estimate(example.inputs(), plan);
    EXPECT_GE(cost.step_time.value, cost.simulated_time.value * (1 - 1e-12)) << pp;
    EXPECT_NEAR(cost.simulated_time / cost.step_time, 1, pp == 1 ? 1e-12 : 0.25);
  }
}

// The formula hides a layer's gathers and reductions behind a neighbour like the layer itself. The
// lists know better: at a stage's ends there is none, and the head's forward takes no time.
TEST(PlanCost, TheListsShowWhatIsHidden) {
  Example example;
  example.hardware.overlap_slowdown = 1.2;
  for (const int pp : {1, 2, 4}) {
    for (const int zero : {0, 1, 2, 3}) {
      const plan::Plan plan = example.plan(4 * pp, {.tp_degree = 2, .zero_stage = zero}, pp, 4);
      const PlanCost cost = estimate(example.inputs(), plan);
      EXPECT_NEAR(cost.simulated_time / cost.step_time, 1, 0.1) << pp << " " << zero;
      double gathers = 0, reductions = 0, of_layers = 0;
      for (const TimelineEvent& event : cost.timeline.events) {
        gathers += event.kind == EventKind::kGather ? 1 : 0;
        reductions += event.kind == EventKind::kReduce ? 1 : 0;
        of_layers += event.kind == EventKind::kGradientSync ? 1 : 0;
      }
      EXPECT_EQ(gathers > 0, zero == 3);
      // Tokens, positions and two blocks of two units; tied tokens twice where each is reduced.
      EXPECT_GE(reductions, zero < 2 ? 6 : 4 * 6);
      EXPECT_EQ(of_layers, 0);
    }
  }
}

// The embedding's gather before anything runs, then a block's beside the embedding.
TEST(PlanCost, AGatherIsDrawnBesideTheLayerThatHidesIt) {
  const Example example;
  const plan::Plan plan = example.plan(4, {.zero_stage = 3}, 1, 1);
  const Timeline timeline = estimate(example.inputs(), plan).timeline;
  const auto first = [&](const std::string& text) {
    return *std::find_if(timeline.events.begin(), timeline.events.end(),
                         [&](const TimelineEvent& event) { return to_text(event) == text; });
  };
  EXPECT_EQ(first("gather 0").start.value, 0);
  EXPECT_EQ(first("F0").start, first("gather 1").end);
  EXPECT_EQ(first("gather 2").start, first("F0").start);
}

// Too many steps to draw one by one.
TEST(PlanCost, ALargeStepIsDrawnByStages) {
  Example example;
  example.job.global_batch = 4 * kMostLayerSteps;
  const auto drawn = [&](std::int64_t num_microbatches) {
    const plan::Plan plan =
        example.plan(4, {.zero_stage = 3}, 1, static_cast<int>(num_microbatches));
    const PlanCost cost = estimate(example.inputs(), plan);
    return std::any_of(cost.timeline.events.begin(), cost.timeline.events.end(),
                       [](const TimelineEvent& one) { return one.kind == EventKind::kGather; });
  };
  EXPECT_TRUE(drawn(kMostLayerSteps / 4));
  EXPECT_FALSE(drawn(kMostLayerSteps / 4 + 1));
}

TEST(PlanCost, ShardingAndRecomputeSaveMemoryInTheExpectedOrder) {
  const Example example;
  const auto peak = [&](const plan::LayerStrategy& strategy, int pp = 1) {
    return estimate(example.inputs(), example.plan(4, strategy, pp, 4)).peak_memory().value;
  };
  EXPECT_GT(peak({.zero_stage = 0}), peak({.zero_stage = 1}));
  EXPECT_GT(peak({.zero_stage = 1}), peak({.zero_stage = 3}));
  EXPECT_GT(peak({}), peak({.tp_degree = 4}));
  EXPECT_GT(peak({}), peak({}, 2));
}

TEST(PlanCost, AMixOfStrategiesPaysForTheChange) {
  const Example example;
  plan::Plan plan = example.plan(4, {});
  const PlanCost same = estimate(example.inputs(), plan);
  plan.layers[2] = {.ulysses_degree = 2};
  const PlanCost mixed = estimate(example.inputs(), plan);
  EXPECT_EQ(same.layers[2].transition.value, 0);
  EXPECT_GT(mixed.layers[2].transition.value, 0);
  EXPECT_NEAR(mixed.layers[3].transition.value, mixed.layers[2].transition.value, 1e-12);
  EXPECT_GT(mixed.step_time, same.step_time);
}

// gpt2-tiny: embedding, two blocks and head are a stage each, two on a rank.
TEST(PlanCost, AnInterleavedRankHoldsItsStagesTogether) {
  const Example example;
  const plan::Plan plan =
      plan::uniform_plan(example.model, example.job, 2, {}, 2, 4, plan::ScheduleKind::kInterleaved);
  ASSERT_EQ(plan::check_plan(plan, example.model), std::nullopt);
  const PlanCost cost = estimate(example.inputs(), plan);
  ASSERT_EQ(cost.stages.size(), 4u);
  EXPECT_EQ(cost.stages[2].pp_rank, 0);
  EXPECT_EQ(cost.stages[0].memory.total(), cost.stages[2].memory.total());
  EXPECT_EQ(cost.stages[1].memory.states.total().value,
            16 * (kBlockElements + kTokensElements + 2 * 64))
      << "block.0 and head";
  EXPECT_NEAR((cost.compute + cost.exposed_communication + cost.bubble).value, cost.step_time.value,
              1e-9);
  EXPECT_EQ(cost.timeline.busy.size(), 2u);
  EXPECT_NEAR(cost.simulated_time / cost.step_time, 1, 0.25);
  const OrderedJson json = plan_cost_to_json(cost);
  EXPECT_EQ(json["stages"][3]["pp_rank"], 1);
  const std::string table = plan_cost_table(cost, plan, {});
  EXPECT_NE(table.find("with stage 1"), std::string::npos) << table;
}

TEST(PlanCost, JsonAndTableShowTheNumbers) {
  const Example example;
  const plan::Plan plan = example.plan(8, {.zero_stage = 3}, 2, 4);
  const PlanCost cost = estimate(example.inputs(), plan);
  const OrderedJson json = plan_cost_to_json(cost);
  EXPECT_EQ(json["step_ms"], cost.step_time.value);
  EXPECT_EQ(json["stages"].size(), 2u);
  EXPECT_EQ(json["stages"][1]["memory"]["total_bytes"], cost.stages[1].memory.total().value);
  EXPECT_EQ(json["layers"].size(), 4u);
  const std::string table = plan_cost_table(cost, plan, mebibytes(1));
  EXPECT_NE(table.find("of 1.00 MiB"), std::string::npos) << table;
  EXPECT_NE(table.find("tokens/s"), std::string::npos) << table;
  EXPECT_NE(table.find("2-3"), std::string::npos) << table;
}

TEST(PlanCost, TheTableSaysWhereAPriceIsIdeal) {
  const Example example;
  plan::Plan plan = example.plan(2, {}, 2, 4);
  EXPECT_EQ(plan_cost_table(estimate(example.inputs(), plan), plan, {}).find("note"),
            std::string::npos);
  plan.pipeline.schedule = plan::ScheduleKind::kZeroBubbleH1;
  const std::string table = plan_cost_table(estimate(example.inputs(), plan), plan, {});
  EXPECT_NE(table.find("note: zb-h1 is priced as if weight gradients ran apart"), std::string::npos)
      << table;
}

// Decoder blocks and the head hand the encoder's stream on: a stage keeps it once, with the layer
// that makes it or with its first.
TEST(PlanCost, AnEncodersStreamIsKeptOncePerStage) {
  Example example;
  example.model = spec::load_model("t5-tiny");
  const spec::JobSpec job{32, 8, spec::Precision::kFp32};
  example.job = job;
  example.profile =
      profiles::analytic_model_profile(example.model, job.seq_length, job.precision, {});
  constexpr int kDecoderEmbedding = 3, kFirstBlock = 4, kLastBlock = 5, kT5Head = 6;
  const std::int64_t stream = 2 * 32 * 64 * 4;
  plan::Plan plan = plan::uniform_plan(example.model, job, 3, {}, 3, 4);
  const auto kept = [&](std::vector<int> layers_per_stage) {
    plan.pipeline.layers_per_stage = std::move(layers_per_stage);
    std::vector<std::int64_t> out;
    for (const LayerRow& row : estimate(example.inputs(), plan).layers)
      out.push_back(row.memory.activation.value);
    return out;
  };
  const auto behind_embedding = kept({2, 4, 1}), two_blocks = kept({4, 2, 1});
  EXPECT_EQ(behind_embedding[kFirstBlock], behind_embedding[kLastBlock]);
  EXPECT_EQ(two_blocks[kFirstBlock], two_blocks[kLastBlock] + stream);
  EXPECT_GE(behind_embedding[kDecoderEmbedding], 2 * stream);  // its input, and what it makes
  EXPECT_EQ(two_blocks[kT5Head], kept({3, 2, 2})[kT5Head] + stream);
  const PlanCost cost = estimate(example.inputs(), plan);
  EXPECT_EQ(cost.stages[2].memory.activations,
            cost.layers[kLastBlock].memory.activation + cost.layers[kT5Head].memory.activation);
}

// The decoder's embedding and the head of T5 share a weight that lies on their stage once.
TEST(PlanCost, ASharedWeightCountsOncePerPipelineRank) {
  Example example;
  example.model = spec::load_model("t5-tiny");
  const spec::JobSpec job{32, 8, spec::Precision::kFp32};
  example.job = job;
  example.profile =
      profiles::analytic_model_profile(example.model, job.seq_length, job.precision, {});
  const int n = example.model.num_layers();
  plan::Plan plan = plan::uniform_plan(example.model, job, 4, {.zero_stage = 1}, 2, 4);
  ASSERT_EQ(example.model.tied_layers().back(), n - 1);
  plan.pipeline.layers_per_stage = {1, n - 1};
  std::vector<std::vector<plan::LayerStrategy>> used(example.model.type_names().size(),
                                                     {plan.layers[0]});
  const CostTables as_searched = build_cost_tables(example.inputs(), pipeline_shape(plan), used);
  const std::vector<int> choice(static_cast<std::size_t>(n), 0);
  const PlanCost cost = estimate(example.inputs(), plan);
  const auto once = [&](std::int64_t elements) { return 4 * elements * 2 + 8 * elements / 2; };
  std::int64_t states = 0;
  std::set<std::string> seen;
  for (int layer = 1; layer < n; ++layer) {
    for (const plan::UnitSpec& unit : plan::param_units(example.model, plan, layer)) {
      if (unit.is_tied() && !seen.insert(unit.tied_name).second) continue;
      states += unit.never_sharded ? 16 * unit.elements : once(unit.elements);
    }
  }
  EXPECT_EQ(cost.stages[1].memory.states.total().value, states);
  EXPECT_LT(states, stage_memory_peak(as_searched, choice, {1, n}, 1).state_bytes);
  EXPECT_EQ(cost.stages[0].memory.states.total().value,
            stage_memory_peak(as_searched, choice, {0, 1}, 0).state_bytes);
}

}  // namespace
}  // namespace galvatron::cost
