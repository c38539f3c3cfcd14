#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

#include "config_error.h"

namespace galvatron::spec {
namespace {

ModelSpec model(const std::string& type, const char* text) {
  Json config = Json::parse(text);
  config["model_type"] = type;
  return model_from_config(config, "my-model");
}

std::string refusal(const std::string& type, const char* text) {
  return config_error_of([&] { model(type, text); });
}

TEST(LlamaConfig, AbsentKeysTakeTransformersDefaults) {
  const ModelSpec llama = model("llama", "{}");
  EXPECT_EQ(llama.num_params(), 6'738'415'616) << "LlamaConfig() is the 7B model";
  EXPECT_EQ(llama.family, Family::kLlama);
  EXPECT_EQ(llama.max_positions, 2048);
  EXPECT_FALSE(llama.tied_embeddings);
  const TransformerShape& shape = llama.layers[1].shape;
  EXPECT_EQ(shape.num_kv_heads, 32);
  EXPECT_EQ(shape.head_size, 128);
  EXPECT_TRUE(shape.gated_mlp);
  EXPECT_EQ(shape.activation, Activation::kSilu);
  EXPECT_EQ(shape.norm, Norm::kRmsNorm);
  EXPECT_DOUBLE_EQ(shape.norm_epsilon, 1e-6);
  EXPECT_FALSE(shape.qkv_bias || shape.attention_output_bias || shape.mlp_bias);
  EXPECT_FALSE(shape.learned_positions);
  EXPECT_EQ(shape.rope.inverse_frequencies.size(), 64u);
}

TEST(LlamaConfig, MistralAndQwenHaveTheirOwnDefaults) {
  const ModelSpec mistral = model("mistral", R"({"sliding_window": null})");
  EXPECT_EQ(mistral.num_params(), 7'241'732'096) << "Mistral-7B";
  EXPECT_EQ(mistral.layers[1].shape.num_kv_heads, 8);
  EXPECT_EQ(mistral.max_positions, 131072);
  const ModelSpec qwen = model("qwen2", "{}");
  EXPECT_EQ(qwen.vocab_size, 151936);
  EXPECT_EQ(qwen.max_positions, 32768);
  EXPECT_EQ(qwen.layers[1].shape.intermediate_size, 22016);
  EXPECT_TRUE(qwen.layers[1].shape.qkv_bias);
  EXPECT_FALSE(qwen.layers[1].shape.attention_output_bias);
}

TEST(LlamaConfig, BiasSwitchesBelongToLlamaAlone) {
  const char* text = R"({"attention_bias": true, "mlp_bias": true})";
  const TransformerShape llama = model("llama", text).layers[1].shape;
  EXPECT_TRUE(llama.qkv_bias && llama.attention_output_bias && llama.mlp_bias);
  const TransformerShape qwen = model("qwen2", text).layers[1].shape;
  EXPECT_TRUE(qwen.qkv_bias);
  EXPECT_FALSE(qwen.attention_output_bias || qwen.mlp_bias);
}

TEST(LlamaConfig, NullKeyValueHeadsMeanAsManyAsHeads) {
  const char* text = R"({"num_key_value_heads": null, "sliding_window": null})";
  for (const char* type : {"llama", "mistral", "qwen2"}) {
    EXPECT_EQ(model(type, text).layers[1].shape.num_kv_heads, 32) << type;
  }
}

TEST(LlamaConfig, AnExplicitHeadSizeNeedNotBeHiddenOverHeads) {
  const ModelSpec llama = model("llama", R"({"hidden_size": 100, "num_attention_heads": 3,
                                             "head_dim": 48, "num_hidden_layers": 1})");
  EXPECT_EQ(llama.layers[1].shape.head_size, 48);
  EXPECT_EQ(refusal("llama", R"({"hidden_size": 100, "num_attention_heads": 3})"),
            "[model] my-model: hidden_size 100 is not a multiple of num_attention_heads 3");
  EXPECT_EQ(refusal("llama", R"({"head_dim": 33})"),
            "[model] my-model: a head size of 33 is odd; rotary position embedding needs an even "
            "one");
  EXPECT_EQ(refusal("llama", R"({"num_key_value_heads": 5})"),
            "[model] my-model: num_attention_heads 32 is not a multiple of num_key_value_heads 5");
}

std::vector<std::int64_t> windows(const ModelSpec& model) {
  std::vector<std::int64_t> out;
  for (const LayerSpec& layer : model.layers) {
    if (layer.kind == LayerKind::kBlock) out.push_back(layer.shape.sliding_window);
  }
  return out;
}

using Windows = std::vector<std::int64_t>;

TEST(LlamaConfig, MistralSlidesInEveryBlockAndQwenInTheLaterOnes) {
  const ModelSpec mistral = model("mistral", R"({"num_hidden_layers": 2})");
  EXPECT_EQ(windows(mistral), (Windows{4096, 4096}));
  EXPECT_EQ(mistral.max_positions, 131072);
  EXPECT_EQ(windows(model("mistral", R"({"num_hidden_layers": 2, "sliding_window": null})")),
            (Windows{0, 0}));
  const ModelSpec qwen = model("qwen2", R"({"use_sliding_window": true, "sliding_window": 128,
                                            "num_hidden_layers": 3, "max_window_layers": 1})");
  EXPECT_EQ(windows(qwen), (Windows{0, 128, 128}));
  EXPECT_EQ(qwen.layer(1).type + 1, qwen.layer(2).type) << "another kind of layer";
  const char* named = R"({"use_sliding_window": true, "num_hidden_layers": 2,
                          "layer_types": ["sliding_attention", "full_attention"]})";
  EXPECT_EQ(windows(model("qwen3", named)), (Windows{4096, 0}));
}

TEST(LlamaConfig, AWindowThatNobodyUsesIsNone) {
  for (const char* text :
       {R"({"use_sliding_window": false, "sliding_window": 128})",
        R"({"use_sliding_window": true, "sliding_window": null, "max_window_layers": 0})",
        R"({"use_sliding_window": true, "max_window_layers": 32})"}) {
    EXPECT_EQ(windows(model("qwen2", text)), Windows(32, 0)) << text;
  }
}

TEST(LlamaConfig, RefusesWindowsThatContradictThemselves) {
  EXPECT_EQ(refusal("qwen2", R"({"num_hidden_layers": 1, "layer_types": ["sliding_attention"]})"),
            "[model] my-model: layer_types has sliding_attention, but use_sliding_window is false; "
            "set it to true, or give full_attention");
  EXPECT_EQ(refusal("qwen2", R"({"layer_types": ["full_attention"]})"),
            "[model] my-model: layer_types has 1 entries, num_hidden_layers is 32; give one for "
            "each layer");
  EXPECT_EQ(refusal("qwen2", R"({"layer_types": ["linear_attention"]})"),
            "[model] my-model: layer_types = \"linear_attention\" is not supported; full_attention "
            "and sliding_attention are");
  EXPECT_EQ(refusal("mistral", R"({"sliding_window": 0})"),
            "[model] my-model: a sliding_window of 0 hides every token; write null for none");
}

TEST(LlamaConfig, TurnsWholeHeadsAlone) {
  EXPECT_EQ(refusal("llama", R"({"partial_rotary_factor": 0.5})"),
            "[model] my-model: partial_rotary_factor = 0.5 is not supported in this family; only 1 "
            "is, of phi3 and gpt_neox others too");
}

TEST(LlamaConfig, HasAPaddingTokenWhereTheConfigNamesOne) {
  EXPECT_EQ(model("llama", "{}").padding_token, -1);
  EXPECT_EQ(model("llama", R"({"pad_token_id": 2})").padding_token, 2);
}

TEST(ModelFromConfig, RefusesOtherFamilies) {
  const std::string text = refusal("falcon", "{}");
  EXPECT_TRUE(text.starts_with(
      "[model] my-model: model_type = 'falcon' is not supported: queries, keys and values"));
  for (const char* known : {"bert", "gpt2", "llama", "mistral", "qwen2", "qwen3", "t5"})
    EXPECT_NE(text.find(known), std::string::npos) << text;
  EXPECT_EQ(config_error_of([] { model_from_config(Json::object(), "my-model"); }),
            "[model] my-model says no model_type: is it the config.json of a model?");
}

}  // namespace
}  // namespace galvatron::spec
