#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

#include "config_error.h"
#include "find_param.h"

namespace galvatron::spec {
namespace {

ModelSpec olmo(Json config) {
  config["model_type"] = "olmo2";
  return model_from_config(config, "my-olmo");
}

TEST(OlmoConfig, AbsentKeysTakeTransformersDefaults) {
  const ModelSpec model = olmo(Json::object());
  EXPECT_EQ(model.num_params(), 6'888'624'128) << "Olmo2ForCausalLM(Olmo2Config())";
  EXPECT_EQ(model.family, Family::kOlmo);
  EXPECT_EQ(model.padding_token, 1);
  const TransformerShape& shape = model.layers[1].shape;
  EXPECT_EQ(shape.norm_place, NormPlace::kBehind);
  EXPECT_EQ(shape.norm, Norm::kRmsNorm);
  EXPECT_DOUBLE_EQ(shape.norm_epsilon, 1e-5);
  EXPECT_FALSE(shape.qkv_bias || shape.attention_output_bias);
}

// One norm over all heads of a token: its weight is divided as the heads are.
TEST(OlmoConfig, NormsOfHeadsAreDividedWithThem) {
  const ModelSpec model =
      olmo({{"num_hidden_layers", 1}, {"num_key_value_heads", 8}, {"attention_bias", true}});
  const ParamSpec& key_norm = find_param(model.layers[1], "attention.key_norm.weight");
  EXPECT_EQ(key_norm.shape, std::vector<std::int64_t>{8 * 128});
  EXPECT_EQ(local_shape(key_norm, 4, 1), std::vector<std::int64_t>{2 * 128});
  EXPECT_FALSE(key_norm.weight_decay);
  EXPECT_TRUE(model.layers[1].shape.attention_output_bias);
}

}  // namespace
}  // namespace galvatron::spec
