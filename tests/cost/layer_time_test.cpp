#include "galvatron/cost/layer_time.h"

#include <gtest/gtest.h>

#include "cost/example_costs.h"

namespace galvatron::cost {
namespace {

constexpr double kEps = 1e-9;
constexpr double kBlockBytes = 4.0 * kBlockElements;

LayerTime time_of(const Example& example, int layer, const plan::LayerStrategy& strategy,
                  PipelineShape shape = {1, 4, 2}, std::int64_t samples = 4) {
  const ParamUnits units = shape_units(example.inputs(), shape, layer, strategy);
  return layer_time(example.inputs(), shape, layer, strategy, units, samples);
}

TEST(LayerTime, PlainDataParallelReducesOnce) {
  const Example example;
  const LayerTime time = time_of(example, kBlock, {});
  EXPECT_NEAR(time.forward.total().value, 4, kEps);
  EXPECT_NEAR(time.backward.total().value, 8, kEps);
  // All-reduce over 4: 1.5 times the bytes, hidden behind 8 ms of backward.
  const double reduce = 1.5 * kBlockBytes / kBandwidth;
  EXPECT_NEAR(time.gradient_sync.exposed.value, 0, kEps);
  EXPECT_NEAR(time.gradient_sync.hidden.value, reduce, kEps);
  EXPECT_NEAR(time.optimizer.value, kBlockElements * 10 * 1e-6, kEps);
  EXPECT_EQ(time.parameter_gather.value, 0);
}

TEST(LayerTime, OfAnotherOptimizerIsAsMeasuredOrByWhatItReadsAndWrites) {
  Example example;
  const double adamw = time_of(example, kBlock, {}).optimizer.value;
  example.job.optimizer = &spec::find_optimizer("sgd");
  EXPECT_NEAR(time_of(example, kBlock, {}).optimizer.value, adamw * 7 / 9, kEps);
  example.hardware.other_optimizers_ns["sgd"] = 5;
  EXPECT_NEAR(time_of(example, kBlock, {}).optimizer.value, adamw / 2, kEps);
}

TEST(LayerTime, OfMuonHasTheWorkOnMatricesDividedOverThoseThatShareThem) {
  Example example;
  const double adamw = time_of(example, kBlock, {}).optimizer.value;
  example.job.optimizer = &spec::find_optimizer("muon");
  const double adamw_head = time_of(example, 0, {}).optimizer.value;
  EXPECT_NEAR(adamw_head, time_of(Example(), 0, {}).optimizer.value, kEps) << "no matrix there";
  double flops = 0, matrices = 0;
  const spec::LayerSpec& block = example.model.layer(kBlock);
  for (const spec::ParamSpec& param : block.params) {
    if (!block.is_block_matrix(param)) continue;
    flops += spec::matrix_flops(param);
    matrices += static_cast<double>(param.numel());
  }
  // A forward of the one sample that each of four ranks has takes 4 ms.
  const double per_flop = 4 / spec::forward_flops(block, example.model, example.job.seq_length);
  const double all_reduce = 1.5 * 4 * matrices / kBandwidth;
  EXPECT_NEAR(time_of(example, kBlock, {}).optimizer.value,
              adamw + flops / 4 * per_flop + all_reduce, 1e-6);
  const LayerTime sharded = time_of(example, kBlock, {.zero_stage = 1});
  EXPECT_NEAR(sharded.optimizer.value, adamw / 4 + flops / 4 * per_flop + all_reduce, 1e-6)
      << "gathered and scattered in the place of the all-reduce";
}

TEST(LayerTime, HiddenCommunicationSlowsCompute) {
  Example example;
  example.hardware.overlap_slowdown = 1.5;
  const double reduce = 1.5 * kBlockBytes / kBandwidth;
  const LayerTime time = time_of(example, kBlock, {});
  EXPECT_NEAR(time.gradient_sync.exposed.value, 0.5 * reduce, kEps);
  example.hardware.overlap_slowdown = 2;
  EXPECT_NEAR(time_of(example, kBlock, {}).gradient_sync.exposed.value, reduce, kEps);
  EXPECT_NEAR(time_of(example, kBlock, {}).gradient_sync.hidden.value, 0, kEps);
}

TEST(LayerTime, EachCollectiveHasAnOverlapOfItsOwn) {
  Example example;
  example.hardware.overlap_slowdown = 3;
  example.hardware.overlaps = {{profiles::Collective::kAllReduce, false, {1.25, 2}}};
  const double reduce = 1.5 * kBlockBytes / kBandwidth;
  EXPECT_NEAR(time_of(example, kBlock, {}).gradient_sync.exposed.value, 2 * reduce * (1 - 1 / 1.25),
              kEps);
}

TEST(LayerTime, UlyssesPacksAndUnpacks) {
  Example example;
  const LayerTime before = time_of(example, kBlock, {.ulysses_degree = 2}),
                  plain = time_of(example, kBlock, {});
  for (profiles::LayerTypeProfile& type : example.profile.types) {
    for (profiles::LayerMeasurement& m : type.measurements) {
      m.ulysses_forward = {0.5};
      m.ulysses_backward = {0.75};
    }
  }
  example.prepare();
  const LayerTime after = time_of(example, kBlock, {.ulysses_degree = 2});
  EXPECT_NEAR((after.forward.compute - before.forward.compute).value, 0.5, kEps);
  EXPECT_NEAR((after.backward.compute - before.backward.compute).value, 0.75, kEps);
  EXPECT_EQ(time_of(example, kBlock, {}).forward.compute, plain.forward.compute);
}

TEST(LayerTime, ALayerThatWasMeasuredWithOthersHasItsOwnContention) {
  Example example;
  example.hardware.contention = {{1, 1}, {4, 2}};
  EXPECT_NEAR(time_of(example, kBlock, {}).forward.compute.value, 8, kEps);
  example.profile.types[kBlock].contention = {{1, 1}, {4, 1.5}};
  example.prepare();
  EXPECT_NEAR(time_of(example, kBlock, {}).forward.compute.value, 6, kEps);
}

TEST(LayerTime, ReductionsLongerThanTheBackwardStickOut) {
  Example example;
  example.hardware.links["intra_node"].bandwidth_bytes_per_ms = kBandwidth / 10;
  const double reduce = 15 * kBlockBytes / kBandwidth;
  ASSERT_GT(reduce, 8);
  EXPECT_NEAR(time_of(example, kBlock, {}).gradient_sync.exposed.value, reduce - 8, kEps);
}

TEST(LayerTime, ZeroStagesMoveWhatTheyMust) {
  const Example example;
  const double pass = 0.75 * kBlockBytes / kBandwidth;  // an all-gather or a reduce-scatter
  const LayerTime one = time_of(example, kBlock, {.zero_stage = 1});
  EXPECT_NEAR(one.gradient_sync.hidden.value, pass, kEps);
  EXPECT_NEAR(one.parameter_gather.value, pass, kEps);
  EXPECT_NEAR(one.optimizer.value, kBlockElements / 4 * 10 * 1e-6, kEps);
  const LayerTime two = time_of(example, kBlock, {.zero_stage = 2});
  EXPECT_NEAR(two.backward.hidden.value, pass, kEps);
  EXPECT_NEAR(two.gradient_sync.total().value, 0, kEps);
  EXPECT_NEAR(two.parameter_gather.value, pass, kEps);
  const LayerTime three = time_of(example, kBlock, {.zero_stage = 3});
  EXPECT_NEAR(three.forward.hidden.value, pass, kEps);
  EXPECT_NEAR(three.backward.hidden.value, 2 * pass, kEps);
  EXPECT_EQ(three.parameter_gather.value, 0);
}

// Two neighbours gather and reduce; once a step the two copies of a slice are summed.
TEST(LayerTime, ShardedGroupsReduceSlicesAcross) {
  const Example example;
  const double pass = 0.5 * kBlockBytes / kBandwidth;    // over 2 neighbours
  const double across = 0.5 * kBlockBytes / kBandwidth;  // all-reduce of half over 2
  const LayerTime one = time_of(example, kBlock, {.zero_stage = 1, .shard_degree = 2});
  EXPECT_NEAR(one.gradient_sync.hidden.value, pass + across, kEps);
  EXPECT_NEAR(one.parameter_gather.value, pass, kEps);
  EXPECT_NEAR(one.optimizer.value, kBlockElements / 2 * 10 * 1e-6, kEps);
  const LayerTime three = time_of(example, kBlock, {.zero_stage = 3, .shard_degree = 2});
  EXPECT_NEAR(three.forward.hidden.value, pass, kEps);
  EXPECT_NEAR(three.backward.hidden.value, 2 * pass, kEps);
  EXPECT_NEAR(three.gradient_sync.hidden.value, across, kEps);
}

// What the last backward has to hide beside its own gathers and reductions may not fit.
TEST(LayerTime, ReductionsAcrossNodesShowWhereComputeIsShort) {
  Example example;
  example.hardware.ranks_per_node = 4;
  example.hardware.links["inter_node"].bandwidth_bytes_per_ms = kBandwidth / 20;
  const PipelineShape shape{1, 8, 2};
  const LayerTime time = time_of(example, kBlock, {.zero_stage = 3, .shard_degree = 4}, shape, 8);
  const double inside = 2 * 0.75 * kBlockBytes / kBandwidth;
  const double across = 0.25 * kBlockBytes / (kBandwidth / 20);
  const double left = time.backward.compute.value - inside;  // of the backward to hide it
  ASSERT_LT(left, across);
  EXPECT_NEAR(time.backward.hidden.value, inside, kEps);
  EXPECT_NEAR(time.gradient_sync.hidden.value, left, kEps);
  EXPECT_NEAR(time.gradient_sync.exposed.value, across - left, kEps);
}

// TP's collectives inside a node leave the links between nodes to the reductions.
TEST(LayerTime, ReductionsAcrossNodesHideBehindCollectivesInside) {
  Example example;
  example.hardware.ranks_per_node = 2;
  example.hardware.links["inter_node"].bandwidth_bytes_per_ms = kBandwidth / 50;
  const LayerTime time = time_of(example, kBlock, {.tp_degree = 2});
  const PhaseTime& sync = time.gradient_sync;
  ASSERT_GT(time.backward.inside.intra_node.value, 0);
  ASSERT_EQ(time.backward.inside.inter_node.value, 0);
  EXPECT_NEAR(sync.hidden.value, time.backward.total().value, kEps);
  EXPECT_GT(sync.exposed.value, 0);
}

TEST(LayerTime, TensorParallelCollectives) {
  const Example example;
  // dp 2: two samples a rank, [2, 64, 64] in fp32 in the region, half of it from the other rank.
  const double one = 0.5 * (2 * 64 * 64 * 4) / kBandwidth;
  const LayerTime time = time_of(example, kBlock, {.tp_degree = 2});
  EXPECT_NEAR(time.forward.compute.value, 4, kEps);  // 2 samples, half the layer
  EXPECT_NEAR(time.forward.exposed.value, 4 * one, kEps);
  EXPECT_NEAR(time.backward.exposed.value, 6 * one, kEps);
  const LayerTime full =
      time_of(example, kBlock, {.tp_degree = 2, .recompute = plan::Recompute::kFull});
  EXPECT_NEAR(full.backward.exposed.value, 10 * one, kEps);
  EXPECT_NEAR(full.backward.compute.value, 8 + 4, kEps);
  const LayerTime selective =
      time_of(example, kBlock, {.tp_degree = 2, .recompute = plan::Recompute::kSelective});
  EXPECT_NEAR(selective.backward.exposed.value, 6 * one, kEps);
  EXPECT_NEAR(selective.backward.compute.value, 8 + 1, kEps);
}

// In two pieces, of which one has a product to run beside; what sticks out of it is waited for.
TEST(LayerTime, TensorParallelCollectivesHideWhereTheSystemDoesThat) {
  Example example;
  const LayerTime waits = time_of(example, kBlock, {.tp_degree = 2});
  example.hardware.tp_overlap = 1;
  const LayerTime hides = time_of(example, kBlock, {.tp_degree = 2});
  EXPECT_NEAR(hides.forward.exposed.value, waits.forward.exposed.value / 2, kEps);
  EXPECT_NEAR(hides.forward.hidden.value, waits.forward.exposed.value / 2, kEps);
  EXPECT_NEAR(hides.backward.exposed.value, waits.backward.exposed.value / 2, kEps);
  EXPECT_NEAR(hides.tp.value, waits.tp.value / 2, kEps);
  EXPECT_NEAR(time_of(example, kHead, {.tp_degree = 2}).backward.exposed.value,
              time_of(Example(), kHead, {.tp_degree = 2}).backward.exposed.value, kEps);
  example.hardware.overlap_slowdown = 1.5;
  EXPECT_NEAR(time_of(example, kBlock, {.tp_degree = 2}).forward.exposed.value,
              waits.forward.exposed.value * 0.75, kEps);
  example.hardware.overlap_slowdown = 1;
  example.hardware.links["intra_node"].bandwidth_bytes_per_ms = kBandwidth / 50;
  const double all = 50 * waits.forward.exposed.value;
  ASSERT_GT(all / 2, 4);
  EXPECT_NEAR(time_of(example, kBlock, {.tp_degree = 2}).forward.exposed.value, all - 4, kEps);
}

TEST(LayerTime, GathersBehindTheOptimizerHideInTheNextForward) {
  Example example;
  const LayerTime waits = time_of(example, kBlock, {.zero_stage = 1});
  const LayerTime first = time_of(example, kEmbedding, {.zero_stage = 1});
  ASSERT_GT(waits.parameter_gather.value, 0);
  ASSERT_LT(waits.parameter_gather, waits.forward.compute);
  example.hardware.gather_overlap = 0.75;
  EXPECT_NEAR(time_of(example, kBlock, {.zero_stage = 1}).parameter_gather.value,
              waits.parameter_gather.value / 4, kEps);
  EXPECT_EQ(time_of(example, kEmbedding, {.zero_stage = 1}).parameter_gather,
            first.parameter_gather);
}

TEST(LayerTime, UlyssesExchanges) {
  const Example example;
  // Two samples of 32 tokens: qkv 12 heads, context 4 heads, of 16 each.
  const double exchanges = 0.5 * (2 * 32 * (12 + 4) * 16 * 4) / kBandwidth;
  const LayerTime time = time_of(example, kBlock, {.ulysses_degree = 2});
  EXPECT_NEAR(time.forward.compute.value, 4, kEps);
  EXPECT_NEAR(time.forward.exposed.value, exchanges, kEps);
  EXPECT_NEAR(time.backward.exposed.value, exchanges, kEps);
}

TEST(LayerTime, TheHeadRunsInTheBackwardStep) {
  const Example example;
  const LayerTime plain = time_of(example, kHead, {});
  EXPECT_EQ(plain.forward.total().value, 0);
  EXPECT_NEAR(plain.backward.compute.value, 3 + 6, kEps);
  EXPECT_EQ(plain.backward.exposed.value, 0);
  // tp 2: gather and scatter of [2, 64, 64], and two small all-reduces of 128 and 2 x 128 tokens.
  const double region = 2 * 0.5 * (2 * 64 * 64 * 4) / kBandwidth;
  const double small = 3 * 128 * 4 / kBandwidth;
  EXPECT_NEAR(time_of(example, kHead, {.tp_degree = 2}).backward.exposed.value, region + small,
              kEps);
}

TEST(LayerTime, TheEmbeddingHasNothingToHideBehind) {
  const Example example;
  const LayerTime zero0 = time_of(example, kEmbedding, {});
  const double bytes = 4.0 * (round_up(kTokensElements, 64) + 128 * 64);
  EXPECT_NEAR(zero0.gradient_sync.exposed.value, 1.5 * bytes / kBandwidth, kEps);
  const LayerTime zero3 = time_of(example, kEmbedding, {.zero_stage = 3});
  EXPECT_NEAR(zero3.forward.exposed.value, 0.75 * bytes / kBandwidth, kEps);
  EXPECT_GE(zero3.backward.exposed.value, 0.75 * bytes / kBandwidth - kEps);
}

TEST(LayerTime, TiedCopiesOnTwoStagesAreSummed) {
  const Example example;
  const PipelineShape shape{2, 4, 2};
  const double tokens = 4.0 * round_up(kTokensElements, 64);
  for (const int zero : {0, 2}) {
    const double owned = zero == 0 ? tokens : tokens / 4;
    const double tie = owned / kBandwidth;  // an all-reduce over 2 moves the bytes once
    const LayerTime head = time_of(example, kHead, {.zero_stage = zero}, shape);
    const double norm = zero == 0 ? 0 : 0;  // hidden behind 9 ms
    EXPECT_NEAR(head.gradient_sync.exposed.value, tie + norm, kEps) << "zero " << zero;
  }
}

TEST(LayerTime, ContentionSlowsCompute) {
  Example example;
  example.hardware.contention = {{1, 1}, {4, 2}, {8, 4}};
  EXPECT_NEAR(time_of(example, kBlock, {}).forward.compute.value, 8, kEps);             // 4 ranks
  EXPECT_NEAR(time_of(example, kBlock, {}, {2, 4, 1}).forward.compute.value, 8, kEps);  // half of 8
}

TEST(LayerTime, AnEmptyShareCostsNoCompute) {
  const Example example;
  EXPECT_EQ(time_of(example, kBlock, {}, {1, 4, 2}, 0).forward.total().value, 0);
}

TEST(TransitionTime, IsFreeBetweenEqualLayoutsAndSymmetric) {
  const Example example;
  const PipelineShape shape{1, 8, 1};
  const auto between = [&](int from, int to) {
    return transition_time(example.inputs(), shape, kBlock, {8 / from, from}, {8 / to, to}, 8)
        .total()
        .value;
  };
  const double border = 64 * 64 * 4 / kBandwidth;  // 8 samples over 8 ranks
  EXPECT_EQ(between(2, 2), 0);
  EXPECT_NEAR(between(1, 2), 0.5 * border, 1e-4);
  EXPECT_NEAR(between(1, 8), 0.875 * border, 1e-4);
  EXPECT_NEAR(between(2, 4), border, 1e-4);
  for (const int a : {1, 2, 4, 8}) {
    for (const int b : {1, 2, 4, 8}) EXPECT_EQ(between(a, b), between(b, a));
  }
}

// The share that the unluckiest rank fetches, counted token by token.
TEST(TransitionTime, MovesWhatTheRectanglesSay) {
  const Example example;
  const double border = 16 * 64 * 64 * 4 / 8 / kBandwidth;
  for (const int a : {1, 2, 4, 8}) {
    for (const int b : {1, 2, 4, 8}) {
      if (a == b) continue;
      const plan::TokenLayout from{8 / a, a}, to{8 / b, b};
      std::int64_t most = 0;
      for (int rank = 0; rank < 8; ++rank) {
        const auto have = from.rect(rank, 16, 64);
        const auto want = to.rect(rank, 16, 64);
        const auto kept = intersect(have.samples, want.samples).size() *
                          intersect(have.tokens, want.tokens).size();
        most = std::max(most, want.samples.size() * want.tokens.size() - kept);
      }
      const double share = static_cast<double>(most) / (16 * 64 / 8);
      const double time =
          transition_time(example.inputs(), {1, 8, 1}, kBlock, from, to, 16).total().value;
      EXPECT_NEAR(time, share * border, 1e-4) << a << " to " << b;
    }
  }
}

TEST(BorderTransferTime, SendsEachRanksShare) {
  const Example example;
  const double bytes = 4 * 64 * 64 * 4 / 2;
  EXPECT_NEAR(border_transfer_time(example.inputs(), {4, 2, 1}, kBlock, 4).value,
              bytes / kBandwidth, kEps);
}

}  // namespace
}  // namespace galvatron::cost
