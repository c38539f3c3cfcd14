#include <gtest/gtest.h>

#include "galvatron/spec/model_spec.h"

#include "config_error.h"

namespace galvatron::spec {
namespace {

ModelSpec vit(const char* text) {
  Json config = Json::parse(text);
  config["model_type"] = "vit";
  return model_from_config(config, "my-vit");
}

std::string vit_refusal(const char* text) {
  return config_error_of([&] { vit(text); });
}

TEST(VitConfig, AbsentKeysTakeTransformersDefaults) {
  const ModelSpec model = vit("{}");
  EXPECT_EQ(model.num_params(), 85'800'194) << "ViTForImageClassification(ViTConfig())";
  EXPECT_EQ(model.family, Family::kVit);
  EXPECT_EQ(model.task, Task::kImageClasses);
  EXPECT_EQ(model.fixed_seq_length, 197);
  EXPECT_EQ(model.choose_seq_length(1024, 512), 197);
  EXPECT_EQ(model.image.num_classes, 2);
  EXPECT_EQ(model.image.channels, 3);
  EXPECT_EQ(model.num_blocks(), 12);
  const TransformerShape& shape = model.layers[1].shape;
  EXPECT_EQ(shape.head_size, 64);
  EXPECT_EQ(shape.intermediate_size, 3072);
  EXPECT_EQ(shape.activation, Activation::kGelu);
  EXPECT_DOUBLE_EQ(shape.norm_epsilon, 1e-12);
  EXPECT_FALSE(shape.causal);
  EXPECT_DOUBLE_EQ(shape.residual_dropout + shape.attention_dropout, 0);
  EXPECT_EQ(model.type_names(), (std::vector<std::string>{"embedding", "block", "head"}));
}

TEST(VitConfig, LayersTakeImagesAndClasses) {
  const ModelSpec model = vit("{}");
  EXPECT_EQ(model.layers.front().inputs, std::vector{InputKind::kImages});
  EXPECT_EQ(model.layers.back().inputs, std::vector{InputKind::kClasses});
  EXPECT_EQ(model.layers.back().vocab_size(), 2);
  EXPECT_EQ(model.layers[3].outputs[0].length(9), 197) << "whatever the job's length is";
  EXPECT_GT(forward_flops(model.layers.front(), model, 197), 0);
}

// Sizes that do not divide: the rest of the image is left out, as transformers' convolution does.
TEST(VitConfig, CountsWholePatches) {
  const ModelSpec model = vit(R"({"image_size": [10, 13], "patch_size": [3, 4], "num_channels": 1,
      "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 10,
      "qkv_bias": false, "num_labels": 3})");
  EXPECT_EQ(model.fixed_seq_length, 3 * 3 + 1);
  EXPECT_EQ(model.num_params(), 709);
}

TEST(VitConfig, ClassesAreThoseOfId2label) {
  EXPECT_EQ(vit(R"({"id2label": {"0": "cat", "1": "dog", "2": "owl"}})").image.num_classes, 3);
  EXPECT_EQ(vit(R"({"num_labels": 7})").image.num_classes, 7);
  EXPECT_EQ(vit_refusal(R"({"num_labels": 7, "id2label": {"0": "cat", "1": "dog"}})"),
            "[model] my-vit: num_labels 7, but id2label names 2 classes; give one of them");
  EXPECT_EQ(vit_refusal(R"({"num_labels": 1})"),
            "[model] my-vit: num_labels = 1 is not supported (transformers would take it for "
            "regression); give at least 2 classes");
  EXPECT_EQ(vit_refusal(R"({"problem_type": "regression"})"),
            "[model] my-vit: problem_type = 'regression' is not supported; only "
            "'single_label_classification' is");
}

TEST(VitConfig, RefusesWhatNoImageHas) {
  EXPECT_EQ(vit_refusal(R"({"image_size": 8, "patch_size": 16})"),
            "[model] my-vit: patches of 16 x 16 are larger than images of 8 x 8");
  EXPECT_EQ(vit_refusal(R"({"image_size": [8, 8, 8]})"),
            "[model] my-vit: image_size is [8,8,8]; write one number or [height, width], each in "
            "1 .. 16384");
  EXPECT_EQ(vit_refusal(R"({"hidden_size": 100})"),
            "[model] my-vit: hidden_size 100 is not a multiple of num_attention_heads 12");
}

TEST(VitConfig, DeitHasOneTokenMore) {
  const ModelSpec deit = load_model("deit-base"), vit = load_model("vit-base");
  EXPECT_EQ(deit.family, Family::kDeit);
  EXPECT_EQ(deit.fixed_seq_length, vit.fixed_seq_length + 1);
  EXPECT_EQ(deit.num_params() - vit.num_params(), 2 * 768) << "the token and its position";
}

}  // namespace
}  // namespace galvatron::spec
