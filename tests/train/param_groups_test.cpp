#include "galvatron/train/param_groups.h"

#include <gtest/gtest.h>

#include "config_error.h"
#include "train/tiny_training.h"

namespace galvatron::train {
namespace {

TEST(ParamGroup, IsAPatternAndWhatToDo) {
  const ParamGroup scaled = parse_param_group("*.bias:lr=0.1x,weight_decay=0.25");
  EXPECT_EQ(scaled.pattern, "*.bias");
  EXPECT_EQ(scaled.lr_scale, 0.1);
  EXPECT_EQ(scaled.weight_decay, 0.25);
  EXPECT_FALSE(scaled.frozen);
  const ParamGroup frozen = parse_param_group("model.embed_tokens.*:frozen");
  EXPECT_TRUE(frozen.frozen);
  EXPECT_FALSE(frozen.weight_decay.has_value());
}

TEST(ParamGroup, RefusesOtherText) {
  const auto refusal = [](const std::string& text) {
    return config_error_of([&] { parse_param_group(text); });
  };
  const std::string how = "; one is PATTERN:lr=0.1x,weight_decay=0 or PATTERN:frozen";
  EXPECT_EQ(refusal("*.bias"),
            "[train] --param-group '*.bias': nothing says what to do with its parameters" + how);
  EXPECT_EQ(refusal(":frozen"),
            "[train] --param-group ':frozen': there is no pattern in front of ':'" + how);
  EXPECT_EQ(
      refusal("a:lr=0.1"),
      "[train] --param-group 'a:lr=0.1': lr is a share of the schedule's, as 0.1x, not '0.1'" +
          how);
  EXPECT_EQ(refusal("a:lr=-1x"),
            "[train] --param-group 'a:lr=-1x': '-1' is no number from 0 on" + how);
  EXPECT_EQ(refusal("a:momentum=1"),
            "[train] --param-group 'a:momentum=1': 'momentum' is not one of lr, weight_decay, "
            "frozen" +
                how);
  EXPECT_NE(refusal("a:frozen,lr=1x").find("neither a learning rate nor"), std::string::npos);
  EXPECT_NE(refusal("a:frozen=yes").find("frozen takes no value"), std::string::npos);
}

TEST(ParamGroups, DivideAFusedParameterByTheNamesOfACheckpoint) {
  const ParamGroups groups({"*.k_proj.weight:frozen", "*layers.1.self_attn*:lr=2x"}, tiny_llama());
  const auto first = groups.parts("block.0.attention.qkv.weight"),
             second = groups.parts("block.1.attention.qkv.weight");
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].range, (Range{32, 48}));
  EXPECT_TRUE(groups.group(first[0].group).frozen);
  ASSERT_EQ(second.size(), 3U);
  EXPECT_EQ(second[0].group, 1);
  EXPECT_EQ(second[1].group, 0) << "the first pattern counts";
  EXPECT_EQ(second[2].range, (Range{48, 64}));
  EXPECT_TRUE(groups.parts("tokens.weight").empty());
}

TEST(ParamGroups, RefusePatternsOfNothing) {
  const auto refusal = [](const std::vector<std::string>& texts) {
    return config_error_of([&] { ParamGroups(texts, tiny_gpt()); });
  };
  EXPECT_EQ(refusal({"*.kproj.*:frozen"}),
            "[train] --param-group '*.kproj.*:frozen': '*.kproj.*' matches no parameter of model "
            "'tiny', whose names are like transformer.wte.weight and transformer.ln_f.bias");
  EXPECT_EQ(refusal({"*:lr=2x", "*.bias:frozen"}),
            "[train] --param-group '*.bias:frozen': what '*.bias' matches is of groups before it; "
            "give it first, or leave it away");
  EXPECT_EQ(refusal({"*:frozen"}),
            "[train] --param-group: all parameters of model 'tiny' are frozen, so that nothing is "
            "left to train");
  EXPECT_EQ(refusal({"h.0.attn.*:frozen"}), "") << "without the prefix, too";
}

}  // namespace
}  // namespace galvatron::train
