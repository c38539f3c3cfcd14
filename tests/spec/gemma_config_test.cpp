#include <cmath>

#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

#include "config_error.h"
#include "find_param.h"

namespace galvatron::spec {
namespace {

ModelSpec gemma(Json config) {
  config["model_type"] = "gemma2";
  return model_from_config(config, "my-gemma");
}

ModelSpec other(const char* type, Json config) {
  config["model_type"] = type;
  return model_from_config(config, "my-gemma");
}

TEST(GemmaConfig, AbsentKeysTakeTransformersDefaults) {
  const ModelSpec first = other("gemma", Json::object());
  EXPECT_EQ(first.num_params(), 8'537'680'896) << "GemmaConfig() is Gemma 7B";
  EXPECT_EQ(first.family, Family::kGemma);
  EXPECT_TRUE(first.tied_embeddings);
  EXPECT_EQ(first.padding_token, 0);
  const TransformerShape& shape = first.layers[1].shape;
  EXPECT_EQ(shape.norm, Norm::kRmsNormPlusOne);
  EXPECT_EQ(shape.norm_place, NormPlace::kBefore);
  EXPECT_EQ(shape.head_size, 256);
  EXPECT_EQ(shape.activation, Activation::kGeluTanh);
  EXPECT_DOUBLE_EQ(shape.embedding_scale, std::sqrt(3072.0));
  EXPECT_DOUBLE_EQ(shape.attention_softcap + shape.logit_softcap, 0);
  EXPECT_EQ(find_param(first.layers[1], "attention_norm.weight").init.kind, InitKind::kZeros);
  EXPECT_EQ(gemma(Json::object()).num_params(), 2'614'341'888) << "Gemma2Config() is Gemma 2 2B";
}

TEST(GemmaConfig, TheSecondCapsAndSlidesInEveryOtherBlock) {
  const ModelSpec model = gemma({{"num_hidden_layers", 4}, {"query_pre_attn_scalar", 144}});
  const TransformerShape& shape = model.layers[1].shape;
  EXPECT_EQ(shape.norm_place, NormPlace::kAround);
  EXPECT_DOUBLE_EQ(shape.attention_softcap, 50);
  EXPECT_DOUBLE_EQ(model.layers.back().shape.logit_softcap, 30);
  EXPECT_DOUBLE_EQ(shape.attention_scale, 1.0 / 12);
  for (int i = 1; i <= 4; ++i)
    EXPECT_EQ(model.layer(i).shape.sliding_window, i % 2 == 1 ? 4096 : 0) << i;
  EXPECT_EQ(model.layer(1).type, model.layer(3).type);
  const ModelSpec uncapped =
      gemma({{"attn_logit_softcapping", nullptr}, {"final_logit_softcapping", nullptr}});
  EXPECT_DOUBLE_EQ(uncapped.layers[1].shape.attention_softcap, 0);
  EXPECT_DOUBLE_EQ(uncapped.layers.back().shape.logit_softcap, 0);
}

TEST(GemmaConfig, TheThirdTurnsHeadsByAnotherBaseInWindows) {
  const ModelSpec model = other(
      "gemma3_text",
      {{"num_hidden_layers", 6}, {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}}});
  const TransformerShape &slides = model.layers[1].shape, &whole = model.layers[6].shape;
  EXPECT_EQ(slides.sliding_window, 4096);
  EXPECT_EQ(whole.sliding_window, 0);
  EXPECT_EQ(slides.head_norm, HeadNorm::kEach);
  EXPECT_DOUBLE_EQ(slides.rope.inverse_frequencies[64], 1e-2) << "half of 128 pairs of base 1e4";
  EXPECT_DOUBLE_EQ(whole.rope.inverse_frequencies[64], 1e-3 / 8) << "base 1e6, stretched";
  const Json by_type = {{"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}}}};
  const ModelSpec saved =
      other("gemma3_text", {{"num_hidden_layers", 6}, {"rope_parameters", by_type}});
  for (int i = 1; i <= 6; ++i)
    EXPECT_EQ(saved.layer(i).shape, model.layer(i).shape) << "as transformers 5 writes it";
}

TEST(GemmaConfig, GeluOfTheFirstIsItsApproximation) {
  const auto activation = [](const char* type, Json config) {
    return other(type, std::move(config)).layers[1].shape.activation;
  };
  EXPECT_EQ(activation("gemma", {{"hidden_act", "gelu"}}), Activation::kGeluTanh);
  EXPECT_EQ(activation("gemma2", {{"hidden_activation", "gelu"}}), Activation::kGelu);
}

TEST(GemmaConfig, RefusesWhatWouldChangeTheResult) {
  EXPECT_EQ(config_error_of([] { gemma({{"use_bidirectional_attention", true}}); }),
            "[model] my-gemma: use_bidirectional_attention = true is not supported; only false is, "
            "and for masked tokens bert and roberta are");
  EXPECT_EQ(config_error_of([] { other("gemma3_text", {{"attn_logit_softcapping", 50.0}}); }),
            "[model] my-gemma: attn_logit_softcapping = 50.0 is not supported in gemma3_text; only "
            "null is");
  EXPECT_EQ(config_error_of([] { gemma({{"sliding_window", nullptr}}); }),
            "[model] my-gemma: sliding_window is null, but layer 0 slides; give the window, or "
            "layer_types of full_attention");
  const std::string pictures =
      config_error_of([] { other("gemma3", {{"text_config", Json::object()}}); });
  EXPECT_TRUE(pictures.starts_with(
      "[model] my-gemma: model_type = 'gemma3' is not supported: it reads pictures or sound beside "
      "text; the nearest family that works is gemma3_text"))
      << pictures;
}

}  // namespace
}  // namespace galvatron::spec
