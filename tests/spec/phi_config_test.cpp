#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

#include "config_error.h"
#include "find_param.h"

namespace galvatron::spec {
namespace {

ModelSpec phi(Json config) {
  config["model_type"] = "phi3";
  return model_from_config(config, "my-phi");
}

TEST(PhiConfig, AbsentKeysTakeTransformersDefaults) {
  const ModelSpec model = phi(Json::object());
  EXPECT_EQ(model.num_params(), 3'821'079'552) << "Phi3Config() is Phi-3-mini";
  EXPECT_EQ(model.family, Family::kPhi);
  EXPECT_EQ(model.max_positions, 4096);
  EXPECT_EQ(model.padding_token, 32000);
  EXPECT_FALSE(model.tied_embeddings);
  const TransformerShape& shape = model.layers[1].shape;
  EXPECT_EQ(shape.num_kv_heads, 32);
  EXPECT_EQ(shape.sliding_window, 0);
  EXPECT_DOUBLE_EQ(shape.norm_epsilon, 1e-5);
  EXPECT_FALSE(shape.qkv_bias || shape.attention_output_bias || shape.mlp_bias);
  EXPECT_EQ(shape.rope.inverse_frequencies.size(), 48u);
}

TEST(PhiConfig, TurnsAPartOfAHead) {
  const ModelSpec model = phi({{"partial_rotary_factor", 0.75}, {"num_hidden_layers", 1}});
  const std::vector<double>& turned = model.layers[1].shape.rope.inverse_frequencies;
  ASSERT_EQ(turned.size(), 36u) << "72 of 96 dims";
  EXPECT_DOUBLE_EQ(turned[18], 0.01) << "of base 10000, halfway";
  EXPECT_EQ(config_error_of([] { phi({{"partial_rotary_factor", 0.001}}); }),
            "[model] my-phi: a partial_rotary_factor of 0.001 turns no pair of a head of 96");
}

TEST(PhiConfig, EarlyNamesOfLongropeAreKnown) {
  const Json factors(std::vector<double>(48, 2.0));
  const Json section = {{"type", "su"}, {"short_factor", factors}, {"long_factor", factors}};
  const ModelSpec model = phi({{"rope_scaling", section}, {"num_hidden_layers", 1}});
  EXPECT_DOUBLE_EQ(model.layers[1].shape.rope.inverse_frequencies[0], 0.5);
  EXPECT_NE(config_error_of([&] {
              phi({{"rope_scaling", section}, {"max_position_embeddings", 131072}});
            }).find("beyond original_max_position_embeddings 4096"),
            std::string::npos);
}

}  // namespace
}  // namespace galvatron::spec
