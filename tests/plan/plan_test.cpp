#include "galvatron/plan/plan.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::plan {
namespace {

LayerStrategy strategy(int tp, int ulysses, int zero, Recompute recompute = Recompute::kNone) {
  LayerStrategy out;
  out.tp_degree = tp;
  out.ulysses_degree = ulysses;
  out.zero_stage = zero;
  out.recompute = recompute;
  return out;
}

Plan two_stage_plan() {
  Plan plan;
  plan.world_size = 8;
  plan.global_batch = 10;
  plan.num_microbatches = 4;
  plan.pipeline = {2, ScheduleKind::k1F1B, {2, 3}};
  plan.layers = {strategy(2, 1, 0), strategy(1, 1, 0), strategy(1, 4, 3), strategy(2, 2, 1),
                 strategy(4, 1, 2)};
  return plan;
}

TEST(PlanValue, DerivesDataParallelDegreesAndStages) {
  const Plan plan = two_stage_plan();
  EXPECT_EQ(plan.ranks_per_stage(), 4);
  EXPECT_EQ(plan.dp_degree(0), 2);
  EXPECT_EQ(plan.dp_degree(1), 4);
  EXPECT_EQ(plan.dp_degree(2), 1);
  EXPECT_EQ(plan.dp_degree(3), 1);
  EXPECT_EQ(plan.stage_of_layer(0), 0);
  EXPECT_EQ(plan.stage_of_layer(1), 0);
  EXPECT_EQ(plan.stage_of_layer(2), 1);
  EXPECT_EQ(plan.stage_of_layer(4), 1);
  EXPECT_EQ(plan.layers_of_stage(0), (Range{0, 2}));
  EXPECT_EQ(plan.layers_of_stage(1), (Range{2, 5}));
  EXPECT_THROW(plan.stage_of_layer(5), InternalError);
}

TEST(PlanValue, InterleavedStagesGoRoundThePipelineRanks) {
  Plan plan = two_stage_plan();
  plan.pipeline = {2, ScheduleKind::kInterleaved, {1, 2, 1, 1}};
  EXPECT_EQ(plan.ranks_per_stage(), 4);
  EXPECT_EQ(plan.pipeline.num_stages(), 4);
  EXPECT_EQ(plan.pipeline.stages_per_rank(), 2);
  EXPECT_EQ(plan.pipeline.stages_of_rank(1), (std::vector<int>{1, 3}));
  EXPECT_EQ(plan.pipeline.pp_rank_of_stage(2), 0);
  EXPECT_EQ(plan.stage_of_layer(3), 2);
  EXPECT_EQ(plan.layers_of_stage(2), (Range{3, 4}));
}

TEST(PlanValue, MicrobatchesAreBalancedChunksOfTheBatch) {
  const Plan plan = two_stage_plan();
  std::int64_t samples = 0;
  for (int m = 0; m < 4; ++m) {
    EXPECT_EQ(plan.samples_of_microbatch(m).begin, samples);
    samples += plan.samples_of_microbatch(m).size();
  }
  EXPECT_EQ(samples, 10);
}

TEST(UniformPlan, SpreadsLayersEvenlyAndRecomputesBlocksOnly) {
  const spec::ModelSpec model = spec::load_model("llama-tiny");
  spec::JobSpec job;
  job.global_batch = 12;
  job.precision = spec::Precision::kFp32;
  const Plan plan =
      uniform_plan(model, job, 8, strategy(2, 1, 3, Recompute::kFull), 4, 3, ScheduleKind::kGPipe);
  EXPECT_EQ(plan.model, "llama-tiny");
  EXPECT_EQ(plan.world_size, 8);
  EXPECT_EQ(plan.global_batch, 12);
  EXPECT_EQ(plan.precision, spec::Precision::kFp32);
  EXPECT_EQ(plan.pipeline, (Pipeline{4, ScheduleKind::kGPipe, {1, 2, 1, 2}}));
  EXPECT_EQ(plan.layers[1], strategy(2, 1, 3, Recompute::kFull));
  EXPECT_EQ(plan.layers.front(), strategy(2, 1, 3));
  EXPECT_EQ(plan.layers.back(), strategy(2, 1, 3));
  EXPECT_NE(config_error_of([&] { uniform_plan(model, job, 8, {}, 0); }), "");
}

TEST(Summarize, NamesRunsOfLayersByTheirKind) {
  Plan plan = two_stage_plan();
  EXPECT_EQ(summarize(plan),
            "embedding tp2 | 1 x dp | 1 x uly4 zero3 | 1 x tp2 uly2 zero1 | head tp4 zero2");
  plan.layers[2] = plan.layers[3] = plan.layers[1];
  EXPECT_EQ(summarize(plan), "embedding tp2 | 3 x dp | head tp4 zero2");
  EXPECT_EQ(summarize(plan, {"embedding", "block.0", "block.1", "merge.0", "head"}),
            "embedding tp2 | 2 x block dp | 1 x merge dp | head tp4 zero2");
}

}  // namespace
}  // namespace galvatron::plan
