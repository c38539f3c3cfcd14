#include "galvatron/spec/model_overrides.h"

#include <random>

#include <gtest/gtest.h>

#include "galvatron/spec/config_keys.h"
#include "galvatron/spec/model_spec.h"

#include "config_error.h"

namespace galvatron::spec {
namespace {

TransformerShape shape_with(const std::string& model, const ModelOverrides& overrides) {
  return load_model(model, overrides).first_block().shape;
}

ModelSpec adapted(const std::string& model, const ModelOverrides& overrides) {
  const ModelSpec spec = load_model(model);
  return model_from_config(spec.config, spec.name, overrides);
}

std::string refusal(const std::string& model, const ModelOverrides& overrides) {
  const std::string sentence = config_error_of([&] { load_model(model, overrides); });
  return sentence.substr(0, sentence.find(" (in "));
}

TEST(ModelOverrides, AreInTheConfigAndInTheName) {
  const ModelSpec model = load_model("llama2-7b", {.num_layers = 48, .vocab_size = 64000});
  EXPECT_EQ(model.name, "llama2-7b(num_layers=48,vocab_size=64000)");
  EXPECT_EQ(model.num_blocks(), 48);
  EXPECT_EQ(model.vocab_size, 64000);
  Json expected = load_model("llama2-7b").config;
  expected["num_hidden_layers"] = 48;
  expected["vocab_size"] = 64000;
  EXPECT_EQ(model.config, expected);
}

// A plan for the preset fits it.
TEST(ModelOverrides, ThatChangeNothingLeaveTheName) {
  const ModelSpec model = load_model("t5-base", {.num_layers = 12, .hidden_size = 768});
  EXPECT_EQ(model.name, "t5-base");
  EXPECT_EQ(model.config, load_model("t5-base").config);
}

TEST(ModelOverrides, StandUnderTheKeysOfEachFamily) {
  const ModelOverrides all{.num_layers = 3, .hidden_size = 96, .num_heads = 6};
  EXPECT_EQ(load_model("gpt2-tiny", all).config["n_layer"], 3);
  EXPECT_EQ(load_model("gpt2-tiny", all).config["n_embd"], 96);
  EXPECT_EQ(load_model("gpt2-tiny", all).config["n_head"], 6);
  EXPECT_EQ(load_model("bert-tiny", all).config["num_attention_heads"], 6);
  EXPECT_EQ(load_model("vit-tiny", all).config["hidden_size"], 96);
  const ModelSpec t5 = load_model("t5-tiny", all);
  EXPECT_EQ(t5.num_blocks(), 6);
  EXPECT_EQ(t5.config["num_decoder_layers"], 3);
  EXPECT_EQ(t5.config["d_model"], 96);
  EXPECT_EQ(shape_with("swin-tiny", {.hidden_size = 32}).hidden_size, 32);
  EXPECT_EQ(load_model("gpt2-tiny", {.max_positions = 64}).max_positions, 64);
}

TEST(ModelOverrides, OfWidthTakeTheStatedMlpAndHeadsAlong) {
  const TransformerShape llama = shape_with("llama2-7b", {.hidden_size = 6144, .num_heads = 48});
  EXPECT_EQ(llama.head_size, 128);
  EXPECT_EQ(llama.num_kv_heads, 48);
  EXPECT_EQ(llama.intermediate_size, 16512);  // 11008 / 4096 x 6144
  EXPECT_EQ(shape_with("llama2-7b", {.hidden_size = 8192}).head_size, 256);
  // A whole number stays exact, even where it is no multiple of 128 as 11008 is.
  EXPECT_EQ(shape_with("llama2-7b", {.hidden_size = 4160}).intermediate_size, 11180);
  // GPT-2 says nothing and means four times as wide.
  const ModelSpec gpt = load_model("gpt2", {.hidden_size = 960});
  EXPECT_EQ(gpt.first_block().shape.intermediate_size, 3840);
  EXPECT_FALSE(gpt.config.contains("n_inner"));
  EXPECT_EQ(shape_with("gpt2", {.hidden_size = 960, .intermediate_size = 1000}).intermediate_size,
            1000);
}

TEST(ModelOverrides, RoundAnMlpThatIsNoWholeNumber) {
  // 9728 / 2560 x 2561 is 9731.8; 9728 is a multiple of 128.
  EXPECT_EQ(shape_with("qwen3-4b", {.hidden_size = 2561}).intermediate_size, 9728);
}

TEST(ModelOverrides, LeaveHeadsOfTheirOwnWidthAlone) {
  // 32 heads of 128 beside a width of 2560.
  EXPECT_EQ(shape_with("qwen3-4b", {.hidden_size = 3072}).head_size, 128);
  EXPECT_EQ(shape_with("llama3.2-1b", {.hidden_size = 4096}).head_size, 128);  // it was 2048 / 32
  EXPECT_EQ(shape_with("llama2-7b", {.head_size = 64}).head_size, 64);
  EXPECT_EQ(shape_with("llama3-8b", {.num_heads = 64}).num_kv_heads, 8);
}

TEST(ModelOverrides, ThatFitNothingNameTheNearest) {
  EXPECT_EQ(refusal("llama2-7b", {.hidden_size = 5000}),
            "[model] llama2-7b: hidden_size 5000 in num_heads 32 is no even head size; of "
            "hidden_size nearest are 4992 and 5056, or give head_size");
  EXPECT_EQ(refusal("gpt2", {.num_heads = 13}),
            "[model] gpt2: hidden_size 768 in num_heads 13 is no whole head size; of num_heads "
            "nearest are 12 and 16");
  EXPECT_EQ(refusal("llama3-8b", {.num_heads = 36}),
            "[model] llama3-8b: num_heads 36 is not a multiple of num_kv_heads 8; of num_heads "
            "nearest are 32 and 40");
  EXPECT_EQ(refusal("llama3-8b", {.num_kv_heads = 5}),
            "[model] llama3-8b: num_heads 32 is not a multiple of num_kv_heads 5; of "
            "num_kv_heads nearest are 4 and 8");
}

TEST(ModelOverrides, WithoutAPlaceInTheFamilySayWhy) {
  EXPECT_EQ(refusal("gpt2", {.num_kv_heads = 4}),
            "[model] gpt2: a gpt model has no num_kv_heads to set: every head has keys and values "
            "of its own");
  EXPECT_EQ(refusal("t5-base", {.max_positions = 512}),
            "[model] t5-base: a t5 model has no max_positions to set: its sequences may be as "
            "long as one likes");
  EXPECT_EQ(refusal("swin-tiny", {.num_layers = 4}),
            "[model] swin-tiny: a swin model has no num_layers to set: it has one for each stage; "
            "change depths and num_heads in a config");
}

TEST(ModelOverrides, ReachAConfigThatIsRefusedWithoutThem) {
  const Json odd = {{"model_type", "mistral"}, {"max_position_embeddings", 0}};
  EXPECT_NE(config_error_of([&] { model_from_config(odd, "mine"); }), "");
  const NamedConfig fits = override_config({odd, "mine"}, Family::kLlama, {.max_positions = 2048});
  EXPECT_EQ(model_from_config(fits.config, fits.name).max_positions, 2048);
}

TEST(ModelOverrides, OfLayersForgetTheirTypes) {
  Json config = load_model("qwen3-0.6b").config;
  config["layer_types"] = Json(28, "full_attention");
  const NamedConfig deeper = override_config({config, "mine"}, Family::kLlama, {.num_layers = 30});
  EXPECT_FALSE(deeper.config.contains("layer_types"));
}

TEST(ModelOverrides, AreOptions) {
  ModelOverrides overrides;
  const OptionList list = model_override_options(overrides);
  EXPECT_EQ(list.all().size(), 8);
  list.read(Json{{"num_layers", 48}, {"head_size", 64}}, "search");
  EXPECT_EQ(overrides, (ModelOverrides{.num_layers = 48, .head_size = 64}));
  EXPECT_EQ(override_arguments(overrides),
            (std::vector<std::string>{"--num-layers=48", "--head-size=64"}));
  EXPECT_EQ(given_override(overrides, {"num-layers"}), "head-size");
  EXPECT_EQ(given_override(overrides, {"num-layers", "head-size"}), "");
  EXPECT_NE(config_error_of([&] { list.read(Json{{"num_layers", 0}}, "search"); }), "");
}

// Any numbers make a model that has them, or one sentence.
TEST(ModelOverrides, MakeAModelOrASentence) {
  constexpr unsigned kSeed = 20261128;
  std::mt19937 random(kSeed);
  const std::vector<std::int64_t> values = {1, 2, 3, 5, 8, 12, 48, 64, 96, 100, 1024};
  const auto maybe = [&]() -> std::optional<std::int64_t> {
    if (random() % 2 == 0) return std::nullopt;
    return values[random() % values.size()];
  };
  int made = 0, refused = 0;
  for (const std::string name : {"gpt2-tiny", "llama-tiny", "qwen2.5-tiny", "bert-tiny", "t5-tiny",
                                 "vit-tiny", "swin-tiny"}) {
    for (int i = 0; i < 200; ++i) {
      ModelOverrides overrides{.hidden_size = maybe(), .num_heads = maybe()};
      if (name == "llama-tiny" || name == "qwen2.5-tiny") overrides.num_kv_heads = maybe();
      if (name == "swin-tiny") overrides.num_heads.reset();
      try {
        const TransformerShape shape = shape_with(name, overrides);
        EXPECT_EQ(shape.hidden_size, overrides.hidden_size.value_or(shape.hidden_size));
        EXPECT_EQ(shape.num_heads, overrides.num_heads.value_or(shape.num_heads));
        EXPECT_EQ(shape.num_kv_heads, overrides.num_kv_heads.value_or(shape.num_kv_heads));
        ++made;
      } catch (const ConfigError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(made, 300) << "seed " << kSeed;
  EXPECT_GT(refused, 300) << "seed " << kSeed;
}

TEST(ModelOverrides, AreTheSameForAConfigAsForAName) {
  const ModelOverrides overrides = {.num_layers = 5, .hidden_size = 96};
  const ModelSpec ours = adapted("llama-tiny", overrides);
  const ModelSpec named = load_model("llama-tiny", overrides);
  EXPECT_EQ(ours.config, named.config);
  EXPECT_EQ(ours.name, named.name);
  EXPECT_EQ(adapted("llama-tiny", {}).config, load_model("llama-tiny").config);
}

}  // namespace
}  // namespace galvatron::spec
