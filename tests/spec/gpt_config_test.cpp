#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

#include "config_error.h"

namespace galvatron::spec {
namespace {

ModelSpec gpt(const char* text) {
  Json config = Json::parse(text);
  config["model_type"] = "gpt2";
  return model_from_config(config, "my-gpt");
}

TEST(GptConfig, AbsentKeysTakeTransformersDefaults) {
  const ModelSpec model = gpt("{}");
  EXPECT_EQ(model.num_params(), 124'439'808) << "GPT2Config() is the 124M model";
  EXPECT_EQ(model.family, Family::kGpt);
  EXPECT_EQ(model.max_positions, 1024);
  EXPECT_TRUE(model.tied_embeddings);
  const TransformerShape& shape = model.layers[1].shape;
  EXPECT_EQ(shape.head_size, 64);
  EXPECT_EQ(shape.num_kv_heads, 12);
  EXPECT_EQ(shape.intermediate_size, 3072);
  EXPECT_EQ(shape.activation, Activation::kGeluTanh);
  EXPECT_EQ(shape.norm, Norm::kLayerNorm);
  EXPECT_DOUBLE_EQ(shape.norm_epsilon, 1e-5);
  EXPECT_DOUBLE_EQ(shape.attention_scale, 0);
  EXPECT_DOUBLE_EQ(shape.embedding_dropout, 0.1);
  EXPECT_DOUBLE_EQ(shape.attention_dropout, 0.1);
  EXPECT_DOUBLE_EQ(shape.residual_dropout, 0.1);
  EXPECT_TRUE(shape.learned_positions);
  EXPECT_TRUE(shape.rope.inverse_frequencies.empty());
}

TEST(GptConfig, ReadsItsOwnNamesAndTheGeneralOnes) {
  const ModelSpec own = gpt(R"({"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 16,
                                "n_inner": 40, "activation_function": "relu"})");
  EXPECT_EQ(own.layers[1].shape.hidden_size, 32);
  EXPECT_EQ(own.num_blocks(), 3);
  EXPECT_EQ(own.max_positions, 16);
  EXPECT_EQ(own.layers[1].shape.intermediate_size, 40);
  EXPECT_EQ(own.layers[1].shape.activation, Activation::kRelu);
  const ModelSpec general = gpt(R"({"hidden_size": 32, "num_hidden_layers": 3,
      "num_attention_heads": 4, "max_position_embeddings": 16, "n_inner": 40,
      "activation_function": "relu"})");
  EXPECT_EQ(general.num_params(), own.num_params());
  EXPECT_EQ(general.layers[1].shape, own.layers[1].shape);
}

TEST(GptConfig, UnscaledAttentionHasScaleOne) {
  EXPECT_DOUBLE_EQ(gpt(R"({"scale_attn_weights": false})").layers[1].shape.attention_scale, 1);
}

TEST(GptConfig, HarmlessKeysAreIgnored) {
  EXPECT_NO_THROW(gpt(R"({"reorder_and_upcast_attn": true, "use_cache": false, "n_ctx": 5,
                          "task_specific_params": {"a": 1}, "torch_dtype": "float32"})"));
}

TEST(GptConfig, RefusesWhatWouldChangeTheResult) {
  EXPECT_EQ(config_error_of([] { gpt(R"({"scale_attn_by_inverse_layer_idx": true})"); }),
            "[model] my-gpt: scale_attn_by_inverse_layer_idx = true is not supported; only false "
            "is");
  EXPECT_EQ(config_error_of([] { gpt(R"({"add_cross_attention": true})"); }),
            "[model] my-gpt: add_cross_attention = true is not supported; only false is");
  EXPECT_EQ(config_error_of([] { gpt(R"({"activation_function": "gelu_neu"})"); }),
            "[model] my-gpt: activation_function = 'gelu_neu' is not supported, did you mean "
            "'gelu_new'?");
  EXPECT_NE(
      config_error_of([] { gpt(R"({"activation_function": "softplus_of_x"})"); }).find("known are"),
      std::string::npos);
  EXPECT_NE(config_error_of([] {
              gpt(R"({"quantization_config": {"bits": 4}})");
            }).find("quantization_config"),
            std::string::npos);
}

TEST(GptConfig, RefusesImpossibleNumbers) {
  EXPECT_EQ(config_error_of([] { gpt(R"({"n_embd": 100, "n_head": 12})"); }),
            "[model] my-gpt: n_embd 100 is not a multiple of n_head 12");
  for (const char* text : {R"({"n_layer": 0})", R"({"vocab_size": -1})", R"({"n_embd": 1e300})",
                           R"({"resid_pdrop": 1.0})", R"({"n_head": "12"})"}) {
    EXPECT_NE(config_error_of([&] { gpt(text); }).find("[json] my-gpt: key '"), std::string::npos)
        << text;
  }
}

}  // namespace
}  // namespace galvatron::spec
