#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

#include "config_error.h"
#include "find_param.h"

namespace galvatron::spec {
namespace {

ModelSpec roberta(Json config) {
  config["model_type"] = "roberta";
  return model_from_config(config, "my-roberta");
}

TEST(RobertaConfig, AbsentKeysTakeTransformersDefaults) {
  const ModelSpec model = roberta(Json::object());
  EXPECT_EQ(model.num_params(), 124'696'665) << "RobertaForMaskedLM(RobertaConfig())";
  EXPECT_EQ(model.family, Family::kRoberta);
  EXPECT_EQ(model.task, Task::kMaskedTokens);
  EXPECT_EQ(model.padding_token, 1);
  EXPECT_TRUE(model.positions_skip_padding);
  EXPECT_EQ(model.max_positions, 510) << "the first two rows are of padding";
  EXPECT_EQ(find_param(model.layers[0], "positions.weight").shape,
            (std::vector<std::int64_t>{512, 768}));
}

TEST(RobertaConfig, TheHeadHasItsOwnActivation) {
  const ModelSpec model = roberta({{"hidden_act", "relu"}});
  EXPECT_EQ(model.layers[1].shape.activation, Activation::kRelu);
  EXPECT_EQ(model.layers.back().shape.activation, Activation::kGelu);
}

TEST(RobertaConfig, PositionsNeedAPaddingToken) {
  EXPECT_EQ(config_error_of([] { roberta({{"pad_token_id", nullptr}}); }),
            "[model] my-roberta: pad_token_id = null is not supported: positions begin behind it; "
            "give the token");
  EXPECT_EQ(config_error_of([] { roberta({{"max_position_embeddings", 2}}); }),
            "[model] my-roberta: max_position_embeddings 2 leave no position behind those of "
            "pad_token_id 1");
}

}  // namespace
}  // namespace galvatron::spec
