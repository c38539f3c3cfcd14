#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

#include "config_error.h"

namespace galvatron::spec {
namespace {

ModelSpec swin(const char* text) {
  Json config = Json::parse(text);
  config["model_type"] = "swin";
  return model_from_config(config, "my-swin");
}

std::string swin_refusal(const char* text) {
  return config_error_of([&] { swin(text); });
}

TEST(SwinConfig, AbsentKeysTakeTransformersDefaults) {
  const ModelSpec model = swin("{}");
  EXPECT_EQ(model.num_params(), 27'520'892) << "SwinForImageClassification(SwinConfig())";
  EXPECT_EQ(model.family, Family::kSwin);
  EXPECT_EQ(model.task, Task::kImageClasses);
  EXPECT_EQ(model.fixed_seq_length, 56 * 56);
  EXPECT_EQ(model.num_blocks(), 12);
  EXPECT_EQ(model.num_layers(), 1 + 12 + 3 + 1);
  EXPECT_DOUBLE_EQ(model.layers[1].drop_path, 0);
  EXPECT_DOUBLE_EQ(model.layers[15].drop_path, 0.1);
  EXPECT_DOUBLE_EQ(model.layers[1].shape.norm_epsilon, 1e-5);
}

TEST(SwinConfig, StagesHaveTheirOwnShapes) {
  const ModelSpec model = swin("{}");
  const LayerSpec &first = model.layers[1], &shifted = model.layers[2], &merge = model.layers[3],
                  &last = model.layers[15];
  EXPECT_EQ(first.shape.window, (WindowSpec{56, 56, 7, 0}));
  EXPECT_EQ(shifted.shape.window, (WindowSpec{56, 56, 7, 3}));
  EXPECT_NE(first.type, shifted.type) << "a shift costs a mask";
  EXPECT_EQ(merge.kind, LayerKind::kMerge);
  EXPECT_EQ(merge.name, "merge.0");
  EXPECT_EQ(merge.outputs[0].length(1), 28 * 28);
  EXPECT_EQ(merge.outputs[0].width, 192);
  EXPECT_EQ(last.name, "block.11");
  EXPECT_EQ(last.shape.num_heads, 24);
  EXPECT_EQ(last.shape.hidden_size, 768);
  EXPECT_EQ(last.shape.window, (WindowSpec{7, 7, 7, 0})) << "one window cannot be shifted";
}

TEST(SwinConfig, GridsMayBeOddAndImagesPadded) {
  const ModelSpec model = swin(R"({"image_size": [13, 18], "patch_size": 2, "embed_dim": 8,
      "depths": [1, 2], "num_heads": [2, 4], "window_size": 3, "num_labels": 3,
      "mlp_ratio": 1.5})");
  EXPECT_EQ(model.fixed_seq_length, 7 * 9);
  EXPECT_EQ(model.layers.back().shape.hidden_size, 16);
  EXPECT_EQ(model.inputs_of(model.num_layers() - 1)[0].length(1), 4 * 5);
  EXPECT_EQ(model.num_params(), 5481);
}

TEST(SwinConfig, AbsolutePositionsNeedWholePatches) {
  const char* const kPositions = R"({"use_absolute_embeddings": true})";
  EXPECT_EQ(swin(kPositions).num_params(), swin("{}").num_params() + 56 * 56 * 96);
  EXPECT_EQ(swin_refusal(R"({"use_absolute_embeddings": true, "image_size": 226})"),
            "[model] my-swin: use_absolute_embeddings needs images of whole patches, but 226 x 226 "
            "is no multiple of 4 x 4");
}

TEST(SwinConfig, RefusesWindowsThatNoStageHas) {
  EXPECT_EQ(swin_refusal(R"({"image_size": 192})"),
            "[model] my-swin: window_size 7 is more than the grid of 6 x 6 tokens of stage 4; use "
            "windows of at most 6 or larger images");
}

TEST(SwinConfig, RefusesStagesThatDoNotFit) {
  EXPECT_EQ(swin_refusal(R"({"depths": [2, 2]})"),
            "[model] my-swin: depths names 2 stages, num_heads 4; both need one entry each");
  EXPECT_EQ(swin_refusal(R"({"num_heads": [5, 6, 12, 24]})"),
            "[model] my-swin: the width 96 of stage 1 is not a multiple of its num_heads 5");
  EXPECT_EQ(
      swin_refusal(R"({"depths": [2, 2, 0, 2]})"),
      "[model] my-swin: depths is [2,2,0,2]; its entries must be whole numbers in 1 .. 10000");
  EXPECT_EQ(swin_refusal(R"({"embed_dim": 1048576})"),
            "[model] my-swin: embed_dim 1048576 doubled in 4 stages is more than 1048576");
  EXPECT_NE(swin_refusal(R"({"num_labels": 1})"), "");
}

}  // namespace
}  // namespace galvatron::spec
