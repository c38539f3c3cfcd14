#include "galvatron/plan/param_units.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

namespace galvatron::plan {
namespace {

constexpr int kEmbedding = 0, kBlock = 1;  // layers of gpt2-tiny

// With every layer on one pipeline rank, or each on its own.
std::vector<UnitSpec> units_of(const spec::ModelSpec& model, int layer, int ranks_per_stage,
                               const LayerStrategy& strategy, bool one_pp_rank = true) {
  std::vector<int> pp_ranks(model.layers.size(), 0);
  if (!one_pp_rank) std::iota(pp_ranks.begin(), pp_ranks.end(), 0);
  return param_units(model, layer, {strategy, ranks_per_stage}, pp_ranks);
}

int count_held(const spec::ModelSpec& model, const Plan& plan, const std::string& tied_name) {
  int held = 0;
  for (int layer = 0; layer < model.num_layers(); ++layer) {
    for (const UnitSpec& unit : param_units(model, plan, layer)) {
      held += unit.tied_name == tied_name && !unit.held_in_front;
    }
  }
  return held;
}

TEST(ParamUnits, OfABlockUnderTensorParallelism) {
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  const auto units = units_of(model, kBlock, 4, {.tp_degree = 2});
  ASSERT_EQ(units.size(), 2u);
  // Divided: all weights and the biases of the column-parallel products; whole: norms, row biases.
  EXPECT_TRUE(units[0].tp_divided);
  EXPECT_EQ(units[0].elements, (192 * 65 + 64 * 64 + 256 * 65 + 64 * 256) / 2);
  EXPECT_EQ(units[0].replicas, (RankLine{2, 2}));
  EXPECT_EQ(units[1].elements, 4 * 64 + 2 * 64);
  EXPECT_EQ(units[1].replicas, (RankLine{4, 1}));
}

TEST(ParamUnits, OfOneReplicaHaveNothingToDivide) {
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  const auto units = units_of(model, kBlock, 2, {.tp_degree = 2, .zero_stage = 3});
  ASSERT_EQ(units.size(), 2u);
  EXPECT_EQ(units[0].zero_stage(3), 0);  // divided by TP
  EXPECT_EQ(units[1].zero_stage(3), 3);  // whole on both ranks
  EXPECT_EQ(units_of(model, kBlock, 1, {.zero_stage = 2})[0].zero_stage(2), 0);
}

TEST(ParamUnits, HoldEveryParameterOnce) {
  for (const char* name : {"gpt2-tiny", "llama-tiny", "t5-tiny", "swin-tiny"}) {
    const spec::ModelSpec model = spec::load_model(name);
    for (int layer = 0; layer < model.num_layers(); ++layer) {
      std::vector<int> seen;
      for (const UnitSpec& unit : units_of(model, layer, 4, {.tp_degree = 2})) {
        seen.insert(seen.end(), unit.params.begin(), unit.params.end());
      }
      std::sort(seen.begin(), seen.end());
      std::vector<int> all(model.layer(layer).params.size());
      std::iota(all.begin(), all.end(), 0);
      EXPECT_EQ(seen, all) << name << ", layer " << layer;
    }
  }
}

TEST(ParamUnits, ArePaddedToSixteenElementsPerRank) {
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  // 509 tokens over 2: 255 rows of 64 on the fuller rank, 3 replicas.
  const auto units = units_of(model, kEmbedding, 6, {.tp_degree = 2});
  ASSERT_EQ(units.size(), 2u);
  EXPECT_EQ(units[0].tied_name, "tokens.weight");
  EXPECT_EQ(units[0].elements, round_up(255 * 64, 16 * 3));
  EXPECT_EQ(units[1].elements, round_up(128 * 64, 16 * 6));
}

TEST(ParamUnits, ShardOverAPartOfTheReplicas) {
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  const LayerStrategy strategy{.tp_degree = 2, .zero_stage = 3, .shard_degree = 2};
  const auto units = units_of(model, kBlock, 8, strategy);
  ASSERT_EQ(units.size(), 2u);
  // What TP divides: 2 of 4 replicas, side by side; the rest: as many neighbours as these span.
  EXPECT_EQ(units[0].replicas, (RankLine{4, 2}));
  EXPECT_EQ(units[0].shards, (RankLine{2, 2}));
  EXPECT_EQ(units[0].copies, (RankLine{2, 4}));
  EXPECT_EQ(units[1].shards, (RankLine{4, 1}));
  EXPECT_EQ(units[1].copies, (RankLine{2, 4}));
  EXPECT_EQ(units[0].owned(3), units[0].elements / 2);
  const UnitRanks ranks = unit_ranks(units[0], {strategy, 8}, 8 + 5);
  EXPECT_EQ(ranks.replicas, (RankSet{9, 11, 13, 15}));
  EXPECT_EQ(ranks.shards, (RankSet{13, 15}));
  EXPECT_EQ(ranks.copies, (RankSet{9, 13}));
}

// Every rank is in the sets that it names, all members name the same, and the two cross once.
TEST(ParamUnits, ShardsAndCopiesAreAGridOfTheReplicas) {
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  for (const int tp : {1, 2, 4}) {
    for (const bool near : {true, false}) {
      if (!near && tp == 1) continue;
      for (const std::int64_t shards : divisors(16 / tp)) {
        const LayerStrategy strategy{.tp_degree = tp,
                                     .zero_stage = 3,
                                     .shard_degree = static_cast<int>(shards),
                                     .tp_consecutive = near};
        const RankLayout layout(strategy, 16);
        for (const UnitSpec& unit : units_of(model, kBlock, 16, strategy)) {
          std::set<std::pair<RankSet, RankSet>> seen;
          for (int rank = 16; rank < 32; ++rank) {
            const UnitRanks of = unit_ranks(unit, layout, rank);
            EXPECT_EQ(of.shards.size() * of.copies.size(), of.replicas.size());
            RankSet both;
            std::set_intersection(of.shards.begin(), of.shards.end(), of.copies.begin(),
                                  of.copies.end(), std::back_inserter(both));
            EXPECT_EQ(both, (RankSet{rank}));
            for (const int member : of.shards) {
              EXPECT_EQ(unit_ranks(unit, layout, member).shards, of.shards);
            }
            for (const int member : of.copies) {
              EXPECT_EQ(unit_ranks(unit, layout, member).copies, of.copies);
              EXPECT_TRUE(std::binary_search(of.replicas.begin(), of.replicas.end(), member));
            }
            seen.insert({of.shards, of.copies});
          }
          EXPECT_EQ(seen.size(), 16u);
        }
      }
    }
  }
}

// T5 reads one table in the encoder, in the decoder and in the head.
TEST(ParamUnits, OfASharedWeightAreHeldOncePerPipelineRank) {
  const spec::ModelSpec model = spec::load_model("t5-tiny");
  ASSERT_EQ(model.tied_layers().size(), 3u);
  const spec::JobSpec job{32, 8, spec::Precision::kFp32};
  for (const int pp_degree : {1, 2, 4}) {
    const Plan plan = uniform_plan(model, job, 4, {}, pp_degree, 4);
    std::set<int> pp_ranks;
    for (const int layer : model.tied_layers()) {
      pp_ranks.insert(plan.pipeline.pp_rank_of_stage(plan.stage_of_layer(layer)));
    }
    EXPECT_EQ(count_held(model, plan, "tokens.weight"), static_cast<int>(pp_ranks.size()));
    for (const UnitSpec& unit : param_units(model, plan, 0)) {
      if (unit.is_tied()) {
        EXPECT_EQ(unit.has_twins, pp_ranks.size() > 1);
      }
    }
  }
}

TEST(ParamUnits, AWholeTiedParameterIsNeverSharded) {
  const spec::ModelSpec model = spec::load_model("t5-tiny");
  int seen = 0;
  for (const UnitSpec& unit : units_of(model, kBlock, 4, {.zero_stage = 3, .shard_degree = 2})) {
    if (!unit.never_sharded) continue;
    EXPECT_EQ(unit, units_of(model, kBlock, 4, {})[0]) << "twins in layers of any strategy fit";
  }
  for (const UnitSpec& unit : units_of(model, kBlock, 4, {.tp_degree = 2, .zero_stage = 3})) {
    const bool bias = unit.tied_name == "encoder.relative_bias.weight";
    seen += bias;
    EXPECT_EQ(unit.zero_stage(3), bias ? 0 : 3);
    EXPECT_EQ(unit.owned(3), bias ? unit.elements : unit.elements / unit.replicas.size);
  }
  EXPECT_EQ(seen, 1);
}

TEST(ParamUnits, OfLayersOnTheirOwnPipelineRanksAreAllHeld) {
  const spec::ModelSpec model = spec::load_model("t5-tiny");
  for (int layer = 0; layer < model.num_layers(); ++layer) {
    for (const UnitSpec& unit : units_of(model, layer, 2, {}, false)) {
      EXPECT_FALSE(unit.held_in_front);
      EXPECT_EQ(unit.has_twins, unit.is_tied());
    }
  }
}

TEST(TieRanks, AreTheSamePlaceOnEveryPipelineRankThatHasACopy) {
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  const Plan plan = uniform_plan(model, {32, 8, spec::Precision::kFp32}, 8, {}, 4, 4);
  EXPECT_EQ(tie_ranks(model, plan, "tokens.weight", 0, 1), (RankSet{1, 7}));
  EXPECT_EQ(tie_ranks(model, plan, "tokens.weight", 3, 7), (RankSet{1, 7}));
  const Plan one_stage = uniform_plan(model, {32, 8, spec::Precision::kFp32}, 8, {});
  EXPECT_TRUE(tie_ranks(model, one_stage, "tokens.weight", 0, 1).empty());
}

}  // namespace
}  // namespace galvatron::plan
