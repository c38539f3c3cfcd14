#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

#include "config_error.h"
#include "find_param.h"

namespace galvatron::spec {
namespace {

ModelSpec distilbert(Json config) {
  config["model_type"] = "distilbert";
  return model_from_config(config, "my-distilbert");
}

TEST(DistilbertConfig, AbsentKeysTakeTransformersDefaults) {
  const ModelSpec model = distilbert(Json::object());
  EXPECT_EQ(model.num_params(), 66'985'530) << "DistilBertForMaskedLM(DistilBertConfig())";
  EXPECT_EQ(model.family, Family::kDistilbert);
  EXPECT_EQ(model.num_blocks(), 6);
  EXPECT_EQ(model.max_positions, 512);
  EXPECT_EQ(model.padding_token, 0);
  const TransformerShape& shape = model.layers[1].shape;
  EXPECT_EQ(shape.norm_place, NormPlace::kBehindSum);
  EXPECT_FALSE(shape.drops_attention_branch);
  EXPECT_DOUBLE_EQ(shape.residual_dropout, 0.1);
}

TEST(DistilbertConfig, AnUntiedOutputHasOneBias) {
  const ModelSpec untied = distilbert({{"tie_word_embeddings", false}});
  EXPECT_EQ(untied.num_params(), 66'985'530 + 30522 * 768);
}

TEST(DistilbertConfig, RefusesWhatWouldChangeTheResult) {
  EXPECT_EQ(config_error_of([] { distilbert({{"sinusoidal_pos_embds", true}}); }),
            "[model] my-distilbert: sinusoidal_pos_embds = true is not supported: such positions "
            "do not learn; only false is");
  EXPECT_EQ(config_error_of([] { distilbert({{"dim", 100}, {"n_heads", 3}}); }),
            "[model] my-distilbert: dim 100 is not a multiple of n_heads 3");
}

}  // namespace
}  // namespace galvatron::spec
