#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

#include "config_error.h"
#include "find_param.h"

namespace galvatron::spec {
namespace {

ModelSpec neox(Json config) {
  config["model_type"] = "gpt_neox";
  return model_from_config(config, "my-neox");
}

TEST(NeoxConfig, AbsentKeysTakeTransformersDefaults) {
  const ModelSpec model = neox(Json::object());
  EXPECT_EQ(model.num_params(), 20'554'567'680) << "GPTNeoXConfig() is GPT-NeoX-20B";
  EXPECT_EQ(model.family, Family::kNeox);
  EXPECT_EQ(model.padding_token, -1);
  EXPECT_FALSE(model.tied_embeddings);
  const TransformerShape& shape = model.layers[1].shape;
  EXPECT_TRUE(shape.parallel_residual);
  EXPECT_FALSE(shape.gated_mlp);
  EXPECT_EQ(shape.activation, Activation::kGelu);
  EXPECT_EQ(shape.norm, Norm::kLayerNorm);
  EXPECT_TRUE(shape.qkv_bias && shape.attention_output_bias && shape.mlp_bias);
  EXPECT_EQ(shape.rope.inverse_frequencies.size(), 12u) << "a quarter of 96 dims";
}

TEST(NeoxConfig, TakesItsRotaryPartFromEitherForm) {
  const auto frequencies = [](Json config) {
    config.update({{"hidden_size", 64}, {"num_attention_heads", 1}, {"num_hidden_layers", 1}});
    return neox(config).layers[1].shape.rope.inverse_frequencies;
  };
  const std::vector<double> half = frequencies({{"rotary_pct", 0.5}, {"rotary_emb_base", 500}});
  EXPECT_EQ(half.size(), 16u);
  EXPECT_EQ(
      half,
      frequencies({{"rope_parameters", {{"partial_rotary_factor", 0.5}, {"rope_theta", 500.0}}}}));
  EXPECT_EQ(frequencies({{"rotary_pct", 1.0}}).size(), 32u);
}

TEST(NeoxConfig, SwitchesChangeTheBlock) {
  const TransformerShape shape =
      neox({{"use_parallel_residual", false}, {"attention_bias", false}}).layers[1].shape;
  EXPECT_FALSE(shape.parallel_residual || shape.qkv_bias || shape.attention_output_bias);
  EXPECT_TRUE(shape.mlp_bias);
  EXPECT_EQ(config_error_of([] { neox({{"hidden_size", 100}, {"num_attention_heads", 3}}); }),
            "[model] my-neox: hidden_size 100 is not a multiple of num_attention_heads 3");
}

}  // namespace
}  // namespace galvatron::spec
