#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

#include "config_error.h"

namespace galvatron::spec {
namespace {

ModelSpec bert(const char* text) {
  Json config = Json::parse(text);
  config["model_type"] = "bert";
  return model_from_config(config, "my-bert");
}

std::vector<std::string> names_of(const LayerSpec& layer) {
  std::vector<std::string> names;
  for (const ParamSpec& param : layer.params) names.push_back(param.name);
  return names;
}

TEST(BertConfig, AbsentKeysTakeTransformersDefaults) {
  const ModelSpec model = bert("{}");
  EXPECT_EQ(model.num_params(), 109'514'298) << "BertForMaskedLM(BertConfig())";
  EXPECT_EQ(model.family, Family::kBert);
  EXPECT_EQ(model.task, Task::kMaskedTokens);
  EXPECT_EQ(model.max_positions, 512);
  EXPECT_EQ(model.padding_token, 0);
  EXPECT_TRUE(model.tied_embeddings);
  const TransformerShape& shape = model.layers[1].shape;
  EXPECT_EQ(shape.head_size, 64);
  EXPECT_EQ(shape.activation, Activation::kGelu);
  EXPECT_DOUBLE_EQ(shape.norm_epsilon, 1e-12);
  EXPECT_FALSE(shape.causal);
  EXPECT_EQ(shape.norm_place, NormPlace::kBehindSum);
  EXPECT_DOUBLE_EQ(shape.embedding_dropout, 0.1);
  EXPECT_DOUBLE_EQ(shape.attention_dropout, 0.1);
  EXPECT_DOUBLE_EQ(shape.residual_dropout, 0.1);
  EXPECT_DOUBLE_EQ(shape.mlp_dropout, 0);
}

TEST(BertConfig, LayersAreEmbeddingBlocksAndMaskedTokenHead) {
  const ModelSpec model = bert(R"({"num_hidden_layers": 2, "type_vocab_size": 3})");
  ASSERT_EQ(model.num_layers(), 4);
  EXPECT_EQ(names_of(model.layers[0]),
            (std::vector<std::string>{"tokens.weight", "positions.weight", "token_types.weight",
                                      "norm.weight", "norm.bias"}));
  EXPECT_EQ(model.layers[0].params[2].shape, (std::vector<std::int64_t>{3, 768}));
  EXPECT_EQ(names_of(model.layers[3]),
            (std::vector<std::string>{"output.weight", "output.bias", "transform.weight",
                                      "transform.bias", "norm.weight", "norm.bias"}));
  EXPECT_EQ(model.tied_layers(), (std::vector<int>{0, 3}));
  EXPECT_EQ(model.layers[1].type, model.layers[2].type);
  EXPECT_EQ(model.layers[3].inputs, std::vector{InputKind::kLabels});
}

TEST(BertConfig, AnUntiedOutputHasItsOwnWeightAndTheBiasThatNothingReads) {
  const ModelSpec tied = bert(R"({"num_hidden_layers": 1})");
  const ModelSpec untied = bert(R"({"num_hidden_layers": 1, "tie_word_embeddings": false})");
  EXPECT_EQ(untied.num_params() - tied.num_params(), 30522 * 768 + 30522);
  EXPECT_TRUE(untied.tied_layers().empty());
}

TEST(BertConfig, PaddingMayBeAbsent) {
  EXPECT_EQ(bert(R"({"pad_token_id": null})").padding_token, -1);
  EXPECT_EQ(bert(R"({"pad_token_id": 7})").padding_token, 7);
  EXPECT_EQ(bert(R"({"pad_token_id": -1})").padding_token, 30521) << "as torch's Embedding counts";
}

TEST(BertConfig, RefusesWhatWouldChangeTheResult) {
  EXPECT_EQ(config_error_of([] { bert(R"({"position_embedding_type": "relative_key"})"); }),
            "[model] my-bert: position_embedding_type = 'relative_key' is not supported; only "
            "'absolute' is");
  EXPECT_EQ(config_error_of([] { bert(R"({"is_decoder": true})"); }),
            "[model] my-bert: is_decoder = true is not supported; only false is, for masked-token "
            "training");
  EXPECT_NE(config_error_of([] { bert(R"({"add_cross_attention": true})"); }), "");
  EXPECT_NE(config_error_of([] { bert(R"({"hidden_act": "mish"})"); }).find("hidden_act"),
            std::string::npos);
}

TEST(BertConfig, RefusesImpossibleNumbers) {
  EXPECT_EQ(config_error_of([] { bert(R"({"hidden_size": 100})"); }),
            "[model] my-bert: hidden_size 100 is not a multiple of num_attention_heads 12");
  for (const char* text : {R"({"num_hidden_layers": 0})", R"({"type_vocab_size": 0})",
                           R"({"pad_token_id": 30522})", R"({"hidden_dropout_prob": 1})"}) {
    EXPECT_NE(config_error_of([&] { bert(text); }).find("[json] my-bert: key '"), std::string::npos)
        << text;
  }
}

}  // namespace
}  // namespace galvatron::spec
