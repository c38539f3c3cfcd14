#include "galvatron/cost/layer_memory.h"

#include <gtest/gtest.h>

#include "cost/example_costs.h"

namespace galvatron::cost {
namespace {

LayerMemory memory(const Example& example, int layer, const plan::LayerStrategy& strategy,
                   PipelineShape shape = {1, 4, 2}, std::int64_t samples = 4) {
  const ParamUnits units = shape_units(example.inputs(), shape, layer, strategy);
  return layer_memory(example.inputs(), shape, layer, strategy, units, samples);
}

LayerStates states(std::int64_t parameters, std::int64_t master, std::int64_t gradients,
                   std::int64_t optimizer) {
  return {{parameters}, {master}, {gradients}, {optimizer}};
}

TEST(LayerStates, OfABlockInFp32) {
  const Example example;
  const std::int64_t E = kBlockElements;
  const auto of = [&](int zero) { return memory(example, kBlock, {.zero_stage = zero}).states; };
  EXPECT_EQ(of(0), states(4 * E, 0, 4 * E, 8 * E));
  EXPECT_EQ(of(1), states(4 * E, 0, 4 * E, 2 * E));
  EXPECT_EQ(of(2), states(4 * E, 0, E, 2 * E));
  EXPECT_EQ(of(3), states(E, 0, E, 2 * E));
}

TEST(LayerStates, OfASlicePerPartOfTheReplicas) {
  const Example example;
  const std::int64_t E = kBlockElements;
  const auto of = [&](int zero, int shards) {
    return memory(example, kBlock, {.zero_stage = zero, .shard_degree = shards}).states;
  };
  EXPECT_EQ(of(3, 4), of(3, 0));
  EXPECT_EQ(of(3, 2), states(2 * E, 0, 2 * E, 4 * E));
  EXPECT_EQ(of(1, 2), states(4 * E, 0, 4 * E, 4 * E));
  EXPECT_EQ(of(2, 1), memory(example, kBlock, {}).states);
}

TEST(LayerStates, OfABlockInBf16HaveMasterWeights) {
  const Example example(spec::Precision::kBf16);
  const std::int64_t E = kBlockElements;
  const auto of = [&](int zero) { return memory(example, kBlock, {.zero_stage = zero}).states; };
  EXPECT_EQ(of(0), states(2 * E, 4 * E, 4 * E, 8 * E));
  EXPECT_EQ(of(1), states(2 * E, E, 4 * E, 2 * E));
  EXPECT_EQ(of(2), states(2 * E, E, E, 2 * E));
  EXPECT_EQ(of(3), states(E / 2, E, E, 2 * E));
}

TEST(LayerStates, GradientsReducedOnceAStepAreWhole) {
  Example example;
  example.job.communication.grad_reduce = spec::GradReduce::kStep;
  const std::int64_t E = kBlockElements;
  const auto of = [&](int zero) { return memory(example, kBlock, {.zero_stage = zero}); };
  EXPECT_EQ(of(2).states, states(4 * E, 0, 4 * E, 2 * E));
  EXPECT_EQ(of(3).states, states(E, 0, 4 * E, 2 * E));
  EXPECT_EQ(of(3).reducing.value, 0);
}

TEST(LayerMemory, SumsInBf16AreCopies) {
  Example example;
  example.job.communication.grad_reduce_precision = spec::GradReducePrecision::kBf16;
  const std::int64_t E = kBlockElements;
  const auto of = [&](int zero) { return memory(example, kBlock, {.zero_stage = zero}).reducing; };
  EXPECT_EQ(of(0).value, 2 * E);
  EXPECT_EQ(of(1).value, 2 * E + 2 * E / 4);
  EXPECT_EQ(of(2).value, 4 * E + 2 * E / 4);
}

TEST(LayerStates, AreThoseOfTheJobsOptimizer) {
  Example example;
  example.job.optimizer = &spec::find_optimizer("sgd");
  const std::int64_t E = kBlockElements;
  EXPECT_EQ(memory(example, kBlock, {}).states, states(4 * E, 0, 4 * E, 4 * E));
  EXPECT_EQ(memory(example, kBlock, {.zero_stage = 1}).states, states(4 * E, 0, 4 * E, E));
}

TEST(LayerStates, InFp64TakeEightBytes) {
  const Example example(spec::Precision::kFp64);
  EXPECT_EQ(memory(example, kBlock, {}).states.total().value, 32 * kBlockElements);
}

TEST(LayerStates, ATiedHeadOwnsItsWeightOnlyOnAnotherStage) {
  const Example example;
  const std::int64_t norm = 16 * 128, tokens = 16 * round_up(kTokensElements, 64);
  EXPECT_EQ(memory(example, kHead, {}, {1, 4, 1}).states.total().value, norm);
  EXPECT_EQ(memory(example, kHead, {}, {2, 4, 1}).states.total().value, norm + tokens);
  // It gathers and reduces it all the same.
  EXPECT_EQ(memory(example, kHead, {.zero_stage = 3}, {1, 4, 1}).gathered,
            memory(example, kHead, {.zero_stage = 3}, {2, 4, 1}).gathered);
}

TEST(LayerMemory, TransientsFollowTheZeroStage) {
  const Example example;
  const std::int64_t E = kBlockElements;
  const auto of = [&](int zero, int m) {
    return memory(example, kBlock, {.zero_stage = zero}, {1, 4, m});
  };
  EXPECT_EQ(of(1, 2).gathered.value, 0);
  EXPECT_EQ(of(1, 2).reducing.value, 0);
  EXPECT_EQ(of(2, 1).reducing.value, 4 * E);
  EXPECT_EQ(of(2, 2).reducing.value, 4 * E + E);  // and the slice that is added to the sum
  EXPECT_EQ(of(2, 2).gathered.value, 0);
  EXPECT_EQ(of(3, 1).gathered.value, 4 * E);
  EXPECT_EQ(of(0, 1).parameter_gradients.value, 4 * E);
}

TEST(LayerMemory, ActivationsAreTheInputAndWhatIsKept) {
  const Example example;
  const std::int64_t input = 64 * 64 * 4;  // one sample
  const auto of = [&](plan::Recompute recompute) {
    return memory(example, kBlock, {.recompute = recompute});
  };
  EXPECT_EQ(of(plan::Recompute::kNone).activation.value, input + 1000);
  EXPECT_EQ(of(plan::Recompute::kSelective).activation.value, input + 600);
  EXPECT_EQ(of(plan::Recompute::kFull).activation.value, input);
  EXPECT_EQ(of(plan::Recompute::kNone).backward_workspace.value, 70);
  EXPECT_EQ(of(plan::Recompute::kSelective).backward_workspace.value, 70 + 400);
  EXPECT_EQ(of(plan::Recompute::kFull).backward_workspace.value, 70 + 1000);
}

TEST(LayerMemory, EmbeddingHasNoInputAndTheHeadKeepsOnlyIts) {
  const Example example;
  EXPECT_EQ(memory(example, kEmbedding, {}).activation.value, 16);
  EXPECT_EQ(memory(example, kHead, {}).activation.value, 64 * 64 * 4);
}

TEST(LayerMemory, SequenceDegreesSplitTheInput) {
  const Example example;
  // 4 samples over dp 2, 64 tokens over 2.
  const auto layout = plan::RankLayout({.ulysses_degree = 2}, 4).tokens();
  EXPECT_EQ(border_bytes(example.inputs(), kBlock, layout, 4).value, 2 * 32 * 64 * 4);
  // 2 samples x half the tokens: as much as before, and attention's result a second time.
  EXPECT_EQ(memory(example, kBlock, {.ulysses_degree = 2}).activation,
            memory(example, kBlock, {}).activation + Bytes{2 * 32 * 64 * 4});
  EXPECT_EQ(memory(example, kEmbedding, {.ulysses_degree = 2}).activation,
            memory(example, kEmbedding, {}).activation);
}

TEST(LayerMemory, MoreShardingNeverTakesMore) {
  const Example example(spec::Precision::kBf16);
  for (int ranks = 1; ranks <= 8; ++ranks) {
    for (const int layer : {kEmbedding, kBlock, kHead}) {
      std::int64_t before = std::numeric_limits<std::int64_t>::max();
      for (int zero = 0; zero <= 3; ++zero) {
        const auto total =
            memory(example, layer, {.zero_stage = zero}, {1, ranks, 1}).states.total().value;
        EXPECT_LE(total, before) << ranks << " ranks, zero " << zero << ", layer " << layer;
        before = total;
      }
      const auto sharded = [&](int n) {
        return memory(example, layer, {.zero_stage = 3}, {1, n, 1}).states.total().value;
      };
      EXPECT_LE(sharded(2 * ranks), sharded(ranks));
    }
  }
}

}  // namespace
}  // namespace galvatron::cost
