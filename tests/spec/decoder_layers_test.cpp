#include <cmath>
#include <sstream>
#include <stdexcept>

#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

#include "spec/find_param.h"

namespace galvatron::spec {
namespace {

ModelSpec small_gpt(const char* extra = "{}") {
  Json config = Json::parse(R"({"model_type": "gpt2", "vocab_size": 50, "n_positions": 32,
                                "n_embd": 8, "n_layer": 2, "n_head": 4})");
  config.update(Json::parse(extra));
  return model_from_config(config, "small-gpt");
}

ModelSpec small_llama(const char* extra = "{}") {
  Json config = Json::parse(R"({"model_type": "llama", "vocab_size": 50, "hidden_size": 16,
      "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
      "num_key_value_heads": 2, "max_position_embeddings": 64})");
  config.update(Json::parse(extra));
  return model_from_config(config, "small-llama");
}

// "name[shape] split" of every parameter of a layer, for comparison with a table in the test.
std::string describe(const LayerSpec& layer) {
  std::ostringstream out;
  for (const ParamSpec& param : layer.params) {
    out << param.name << " [" << param.shape[0];
    for (std::size_t i = 1; i < param.shape.size(); ++i) out << "," << param.shape[i];
    out << "]";
    if (param.split.divided()) {
      out << " dim " << param.split.dim << " of";
      for (const auto segment : param.split.segments) out << " " << segment;
      out << " by " << param.split.unit;
    }
    out << "\n";
  }
  return out.str();
}

TEST(DecoderLayers, OfGptAreEmbeddingBlocksAndHead) {
  const ModelSpec model = small_gpt();
  ASSERT_EQ(model.num_layers(), 4);
  EXPECT_EQ(model.num_blocks(), 2);
  EXPECT_EQ(model.layers[2].name, "block.1");
  EXPECT_EQ(describe(model.layers[0]),
            "tokens.weight [50,8] dim 0 of 50 by 1\n"
            "positions.weight [32,8]\n");
  EXPECT_EQ(describe(model.layers[1]),
            "attention_norm.weight [8]\n"
            "attention_norm.bias [8]\n"
            "attention.qkv.weight [24,8] dim 0 of 8 8 8 by 2\n"
            "attention.qkv.bias [24] dim 0 of 8 8 8 by 2\n"
            "attention.output.weight [8,8] dim 1 of 8 by 2\n"
            "attention.output.bias [8]\n"
            "mlp_norm.weight [8]\n"
            "mlp_norm.bias [8]\n"
            "mlp.up.weight [32,8] dim 0 of 32 by 1\n"
            "mlp.up.bias [32] dim 0 of 32 by 1\n"
            "mlp.down.weight [8,32] dim 1 of 32 by 1\n"
            "mlp.down.bias [8]\n");
  EXPECT_EQ(describe(model.layers[3]),
            "norm.weight [8]\n"
            "norm.bias [8]\n"
            "output.weight [50,8] dim 0 of 50 by 1\n");
}

TEST(DecoderLayers, OfLlamaFuseGateAndUpAndGroupTheQueries) {
  const ModelSpec model = small_llama();
  EXPECT_EQ(describe(model.layers[0]), "tokens.weight [50,16] dim 0 of 50 by 1\n");
  EXPECT_EQ(describe(model.layers[1]),
            "attention_norm.weight [16]\n"
            "attention.qkv.weight [32,16] dim 0 of 16 8 8 by 4\n"
            "attention.output.weight [16,16] dim 1 of 16 by 4\n"
            "mlp_norm.weight [16]\n"
            "mlp.gate_up.weight [48,16] dim 0 of 24 24 by 1\n"
            "mlp.down.weight [16,24] dim 1 of 24 by 1\n");
  EXPECT_EQ(describe(model.layers[4]),
            "norm.weight [16]\n"
            "output.weight [50,16] dim 0 of 50 by 1\n");
}

TEST(DecoderLayers, HaveTheBiasesThatTheConfigAsksFor) {
  const std::string block =
      describe(small_llama(R"({"attention_bias": true, "mlp_bias": true})").layers[1]);
  EXPECT_NE(block.find("attention.qkv.bias [32] dim 0 of 16 8 8 by 4\n"), std::string::npos);
  EXPECT_NE(block.find("attention.output.bias [16]\n"), std::string::npos);
  EXPECT_NE(block.find("mlp.gate_up.bias [48] dim 0 of 24 24 by 1\n"), std::string::npos);
  EXPECT_NE(block.find("mlp.down.bias [16]\n"), std::string::npos);
}

TEST(DecoderLayers, TiedWeightsAreOneParameter) {
  const ModelSpec tied = small_gpt();
  const ModelSpec untied = small_gpt(R"({"tie_word_embeddings": false})");
  const ParamSpec& tokens = find_param(tied.layers.front(), "tokens.weight");
  const ParamSpec& output = find_param(tied.layers.back(), "output.weight");
  EXPECT_EQ(tied.layers.front().full_name(tokens), "tokens.weight");
  EXPECT_EQ(tied.layers.back().full_name(output), "tokens.weight");
  EXPECT_EQ(tokens.init, output.init);
  const ParamSpec& own = find_param(untied.layers.back(), "output.weight");
  EXPECT_EQ(untied.layers.back().full_name(own), "head.output.weight");
  EXPECT_EQ(untied.num_params() - tied.num_params(), 50 * 8);
}

TEST(DecoderLayers, StartAsHuggingFaceDoes) {
  const ModelSpec gpt = small_gpt(R"({"initializer_range": 0.5})");
  const Init residual{InitKind::kNormal, 0.5 / std::sqrt(2.0 * 2)};
  EXPECT_EQ(find_param(gpt.layers[1], "attention.output.weight").init, residual);
  EXPECT_EQ(find_param(gpt.layers[1], "mlp.down.weight").init, residual);
  EXPECT_EQ(find_param(gpt.layers[1], "mlp.up.weight").init, (Init{InitKind::kNormal, 0.5}));
  EXPECT_EQ(find_param(gpt.layers[1], "mlp.up.bias").init, (Init{InitKind::kZeros, 0}));
  EXPECT_EQ(find_param(gpt.layers[1], "mlp_norm.weight").init, (Init{InitKind::kOnes, 0}));
  const ModelSpec llama = small_llama(R"({"initializer_range": 0.5})");
  EXPECT_EQ(find_param(llama.layers[1], "mlp.down.weight").init, (Init{InitKind::kNormal, 0.5}));
}

TEST(DecoderLayers, DecayMatricesAndNothingOneDimensional) {
  int matrices = 0;
  for (const ModelSpec& model : {small_gpt(), small_llama(R"({"mlp_bias": true})")}) {
    for (const LayerSpec& layer : model.layers) {
      for (const ParamSpec& param : layer.params) {
        EXPECT_EQ(param.weight_decay, param.shape.size() > 1) << layer.full_name(param);
        matrices += param.weight_decay ? 1 : 0;
      }
    }
  }
  EXPECT_EQ(matrices, 11 + 14);
}

TEST(DecoderLayers, SegmentsAddUpToTheirDimension) {
  for (const std::string& name : preset_names()) {
    const ModelSpec model = load_model(name);
    for (const LayerSpec& layer : model.layers) {
      for (const ParamSpec& param : layer.params) {
        if (!param.split.divided()) continue;
        std::int64_t sum = 0;
        for (const auto segment : param.split.segments) {
          EXPECT_EQ(segment % param.split.unit, 0) << name << " " << layer.full_name(param);
          sum += segment;
        }
        EXPECT_EQ(sum, param.shape[static_cast<std::size_t>(param.split.dim)]);
      }
    }
  }
}

TEST(DecoderLayers, EqualLayersHaveOneType) {
  const ModelSpec model = small_llama();
  EXPECT_EQ(model.type_names(), (std::vector<std::string>{"embedding", "block", "head"}));
  EXPECT_EQ(model.layers[1].type, model.layers[3].type);
  EXPECT_EQ(model.first_layer_of_type(1), 1);
  EXPECT_EQ(model.first_layer_of_type(2), 4);
}

}  // namespace
}  // namespace galvatron::spec
