#include "galvatron/plan/checkpoint_share.h"

#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

namespace galvatron::plan {
namespace {

constexpr std::int64_t kSeqLength = 16, kGlobalBatch = 8;

spec::ModelSpec model() {
  return spec::model_from_config({{"model_type", "gpt2"},
                                  {"vocab_size", 128},
                                  {"n_positions", 32},
                                  {"n_embd", 32},
                                  {"n_layer", 4},
                                  {"n_head", 8}},
                                 "tiny");
}

std::int64_t num_weights(const spec::ModelSpec& model) {
  std::int64_t out = 0;
  for (int i = 0; i + 1 < model.num_layers(); ++i)
    for (const spec::ParamSpec& param : model.layer(i).params) out += param.numel();
  for (const spec::ParamSpec& param : model.layers.back().params)  // the head's own
    if (param.tied_name.empty()) out += param.numel();
  return out;
}

std::vector<Bytes> shares(int world_size, const LayerStrategy& strategy, int pp_degree,
                          const std::string& optimizer = "adamw",
                          spec::Precision precision = spec::Precision::kBf16) {
  const Plan plan = uniform_plan(model(), {kSeqLength, kGlobalBatch, precision}, world_size,
                                 strategy, pp_degree, pp_degree);
  return checkpoint_shares(model(), plan, spec::find_optimizer(optimizer));
}

TEST(CheckpointShare, OfOneRankIsTheWholeCheckpoint) {
  EXPECT_EQ(shares(1, {}, 1), std::vector<Bytes>{Bytes{12 * num_weights(model())}});
  EXPECT_EQ(shares(1, {}, 1, "sgd"), std::vector<Bytes>{Bytes{8 * num_weights(model())}});
  EXPECT_EQ(shares(1, {}, 1, "adamw", spec::Precision::kFp64),
            std::vector<Bytes>{Bytes{24 * num_weights(model())}});
}

TEST(CheckpointShare, OfMuonHasNoSecondMomentOfMatrices) {
  std::int64_t matrices = 0;
  const spec::ModelSpec all = model();
  for (const spec::LayerSpec& layer : all.layers) {
    for (const spec::ParamSpec& param : layer.params)
      matrices += layer.is_block_matrix(param) ? param.numel() : 0;
  }
  EXPECT_GT(matrices, num_weights(all) / 2);
  EXPECT_EQ(shares(1, {}, 1, "muon"),
            std::vector<Bytes>{Bytes{12 * num_weights(all) - 4 * matrices}});
}

TEST(CheckpointShare, OfAdafactorIsLittleMoreThanTheWeights) {
  const std::int64_t bytes = shares(1, {}, 1, "adafactor")[0].value, weights = num_weights(model());
  EXPECT_GT(bytes, 4 * weights);
  EXPECT_LT(bytes, 5 * weights);
}

TEST(CheckpointShare, IsDividedEvenlyWhateverZeroShards) {
  const Bytes quarter{12 * num_weights(model()) / 4};
  for (const LayerStrategy& strategy :
       {LayerStrategy{}, LayerStrategy{.zero_stage = 3}, LayerStrategy{.tp_degree = 2},
        LayerStrategy{.zero_stage = 2, .shard_degree = 2}}) {
    const std::vector<Bytes> found = shares(4, strategy, 1);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_NEAR(static_cast<double>(found[0].value), static_cast<double>(quarter.value),
                0.02 * static_cast<double>(quarter.value));
  }
}

TEST(CheckpointShare, OfTiedCopiesTheFirstWrites) {
  const std::vector<Bytes> found = shares(4, {}, 2);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_NEAR(static_cast<double>((found[0] + found[1]).value),
              static_cast<double>(12 * num_weights(model()) / 2), 2000);
  EXPECT_GT(found[0].value, found[1].value + 12 * 128 * 32 / 2 - 2000);  // the tied embedding
}

}  // namespace
}  // namespace galvatron::plan
