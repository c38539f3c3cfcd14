#include <cmath>
#include <stdexcept>

#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

#include "config_error.h"
#include "spec/find_param.h"

namespace galvatron::spec {
namespace {

ModelSpec t5(const char* text) {
  Json config = Json::parse(text);
  config["model_type"] = "t5";
  return model_from_config(config, "my-t5");
}

std::vector<std::string> layer_names(const ModelSpec& model) {
  std::vector<std::string> names;
  for (const LayerSpec& layer : model.layers) names.push_back(layer.name);
  return names;
}

TEST(T5Config, AbsentKeysTakeTransformersDefaults) {
  const ModelSpec model = t5("{}");
  EXPECT_EQ(model.num_params(), 60'506'624) << "T5ForConditionalGeneration(T5Config()) is t5-small";
  EXPECT_EQ(model.family, Family::kT5);
  EXPECT_EQ(model.task, Task::kSequenceToSequence);
  EXPECT_TRUE(model.tied_embeddings);
  EXPECT_DOUBLE_EQ(model.output_scale, 1 / std::sqrt(512.0));
  EXPECT_EQ(model.num_blocks(), 12);
  const TransformerShape& shape = model.layers[1].shape;
  EXPECT_EQ(shape.head_size, 64);
  EXPECT_EQ(shape.activation, Activation::kRelu);
  EXPECT_FALSE(shape.gated_mlp);
  EXPECT_EQ(shape.norm, Norm::kRmsNorm);
  EXPECT_DOUBLE_EQ(shape.norm_epsilon, 1e-6);
  EXPECT_DOUBLE_EQ(shape.attention_scale, 1);
  EXPECT_EQ(shape.relative_bias, (RelativeBiasSpec{32, 128}));
  EXPECT_FALSE(shape.qkv_bias || shape.attention_output_bias || shape.mlp_bias);
  for (const double p : {shape.embedding_dropout, shape.attention_dropout, shape.residual_dropout,
                         shape.mlp_dropout}) {
    EXPECT_DOUBLE_EQ(p, 0.1);
  }
}

TEST(T5Config, TheEncodersOutputTravelsThroughTheDecoder) {
  const ModelSpec model = t5(R"({"num_layers": 2, "num_decoder_layers": 1})");
  EXPECT_EQ(layer_names(model),
            (std::vector<std::string>{"encoder.embedding", "encoder.block.0", "encoder.block.1",
                                      "decoder.embedding", "decoder.block.0", "head"}));
  const StreamSpec encoder{StreamSpec::Length::kSequence, 0, 512};
  const StreamSpec decoder{StreamSpec::Length::kTarget, 0, 512};
  EXPECT_EQ(model.layers[2].outputs, std::vector{encoder});
  EXPECT_EQ(model.layers[3].outputs, (std::vector{decoder, encoder}));
  EXPECT_EQ(model.layers[4].outputs, (std::vector{decoder, encoder}));
  EXPECT_EQ(model.layers[0].inputs, std::vector{InputKind::kTokens});
  EXPECT_EQ(model.layers[3].inputs, std::vector{InputKind::kTargetTokens});
  EXPECT_EQ(model.layers[5].inputs, std::vector{InputKind::kLabels});
  EXPECT_FALSE(model.layers[1].shape.causal || model.layers[1].shape.cross_attention);
  EXPECT_TRUE(model.layers[4].shape.causal && model.layers[4].shape.cross_attention);
  EXPECT_EQ(model.type_names(),
            (std::vector<std::string>{"embedding", "block", "embedding2", "block2", "head"}));
}

TEST(T5Config, OneTableOfTokensAndOneBiasOfEachStack) {
  const ModelSpec model = t5(R"({"num_layers": 2})");
  EXPECT_EQ(model.tied_layers(), (std::vector<int>{0, 3, 6}));
  EXPECT_EQ(find_param(model.layers[0], "tokens.weight").init,
            find_param(model.layers[6], "output.weight").init);
  const ParamSpec& bias = find_param(model.layers[2], "attention.relative_bias.weight");
  EXPECT_EQ(bias.shape, (std::vector<std::int64_t>{32, 8}));
  EXPECT_EQ(model.layers[1].full_name(bias), "encoder.relative_bias.weight");
  EXPECT_FALSE(bias.split.divided());
  EXPECT_EQ(model.layers[5].full_name(find_param(model.layers[5], bias.name)),
            "decoder.relative_bias.weight");
}

TEST(T5Config, VersionOnePointOneHasAnOutputOfItsOwnAndDoesNotScaleIt) {
  const ModelSpec model = t5(R"({"feed_forward_proj": "gated-gelu", "tie_word_embeddings": false,
                                 "num_layers": 1, "d_kv": 48})");
  EXPECT_EQ(model.tied_layers(), (std::vector<int>{0, 2}));
  EXPECT_DOUBLE_EQ(model.output_scale, 1);
  EXPECT_TRUE(model.layers[1].shape.gated_mlp);
  EXPECT_EQ(model.layers[1].shape.activation, Activation::kGeluTanh);
  EXPECT_EQ(find_param(model.layers[1], "attention.qkv.weight").shape,
            (std::vector<std::int64_t>{3 * 8 * 48, 512}));
  // transformers 5 writes that such a model were tied, and the scale by itself.
  const ModelSpec saved = t5(R"({"tie_word_embeddings": true, "scale_decoder_outputs": false})");
  EXPECT_EQ(saved.tied_layers().size(), 2u);
  EXPECT_DOUBLE_EQ(saved.output_scale, 1);
}

TEST(T5Config, StartsAsTransformersDoes) {
  const ModelSpec model = t5(R"({"initializer_factor": 0.5, "d_model": 64, "d_kv": 16, "d_ff": 100,
                                 "num_heads": 4})");
  const LayerSpec& block = model.layers[8];
  ASSERT_EQ(block.name, "decoder.block.0");
  EXPECT_EQ(find_param(block, "attention.qkv.weight").init.stddev_of_segment,
            (std::vector<double>{0.5 / 8 / 4, 0.5 / 8, 0.5 / 8}));
  EXPECT_DOUBLE_EQ(find_param(block, "cross_attention.query.weight").init.stddev, 0.5 / 8 / 4);
  EXPECT_DOUBLE_EQ(find_param(block, "cross_attention.key_value.weight").init.stddev, 0.5 / 8);
  EXPECT_DOUBLE_EQ(find_param(block, "cross_attention.output.weight").init.stddev, 0.5 / 8);
  EXPECT_DOUBLE_EQ(find_param(block, "mlp.up.weight").init.stddev, 0.5 / 8);
  EXPECT_DOUBLE_EQ(find_param(block, "mlp.down.weight").init.stddev, 0.5 / 10);
  EXPECT_DOUBLE_EQ(find_param(model.layers[0], "tokens.weight").init.stddev, 0.5);
}

TEST(T5Config, ReadsTheGeneralNames) {
  const ModelSpec general = t5(R"({"hidden_size": 64, "num_hidden_layers": 2,
      "num_attention_heads": 4, "head_dim": 8})");
  const ModelSpec own = t5(R"({"d_model": 64, "num_layers": 2, "num_heads": 4, "d_kv": 8})");
  EXPECT_EQ(general.num_params(), own.num_params());
}

TEST(T5Config, RefusesWhatWouldChangeTheResult) {
  EXPECT_EQ(config_error_of([] { t5(R"({"is_decoder": true})"); }),
            "[model] my-t5: is_decoder = true is not supported; only encoder with decoder is");
  EXPECT_NE(config_error_of([] { t5(R"({"is_encoder_decoder": false})"); }), "");
  EXPECT_NE(config_error_of([] {
              t5(R"({"feed_forward_proj": "gated-mish"})");
            }).find("feed_forward_proj = 'mish' is not supported"),
            std::string::npos);
}

TEST(T5Config, RefusesBucketsThatReachBeyondTheLargestDistance) {
  EXPECT_EQ(config_error_of([] { t5(R"({"relative_attention_max_distance": 16})"); }),
            "[model] my-t5: relative_attention_max_distance 16 must be more than half of the 32 "
            "relative_attention_num_buckets, which hold one distance each");
}

TEST(T5Config, Mt5HasItsOwnDefaultsAndScalesNoOutput) {
  const auto mt5 = [](const char* text) {
    Json config = Json::parse(text);
    config["model_type"] = "mt5";
    return model_from_config(config, "my-mt5");
  };
  const ModelSpec model = mt5(R"({"tie_word_embeddings": false})");
  EXPECT_EQ(model.num_params(), 300'176'768) << "mT5-small";
  EXPECT_TRUE(model.layers[1].shape.gated_mlp);
  EXPECT_DOUBLE_EQ(model.output_scale, 1);
  EXPECT_DOUBLE_EQ(mt5("{}").output_scale, 1);
}

}  // namespace
}  // namespace galvatron::spec
