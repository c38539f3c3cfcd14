#include "galvatron/spec/foreign_families.h"

#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"
#include "galvatron/spec/families.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {
namespace {

std::string refusal(const Json& config) {
  try {
    model_from_config(config, "theirs");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(ForeignFamilies, AreRefusedWithTheReasonAndTheNearest) {
  const std::string text = refusal({{"model_type", "falcon"}});
  EXPECT_TRUE(text.starts_with(
      "[model] theirs: model_type = 'falcon' is not supported: queries, keys and values lie in "
      "groups in one tensor; the nearest family that works is gpt_neox; supported are bert, "))
      << text;
  EXPECT_TRUE(text.ends_with(" (docs/own_models.md)")) << text;
  EXPECT_NE(refusal({{"model_type", "mixtral"}})
                .find("experts; the nearest family that works is "
                      "mistral; supported are"),
            std::string::npos);
  EXPECT_NE(refusal({{"model_type", "mamba"}})
                .find("'mamba' is not supported: its layers are recurrent, not attention; "
                      "supported are"),
            std::string::npos);
}

TEST(ForeignFamilies, AreNoneOfOursAndNearOneOfOurs) {
  const std::vector<std::string> list = model_type_names();
  const std::set<std::string> ours(list.begin(), list.end());
  for (const auto& [type, nearest] : foreign_families()) {
    EXPECT_FALSE(ours.contains(type)) << type;
    EXPECT_TRUE(nearest.empty() || ours.contains(nearest)) << type << ": " << nearest;
  }
}

TEST(ForeignFamilies, OfNobodyAreGuessedFromTheirKeys) {
  const auto nearest = [](const Json& config) {
    const std::string hint = foreign_family_hint("mine", config);
    return hint.substr(hint.rfind(' ') + 1);
  };
  EXPECT_EQ(nearest({{"num_local_experts", 8}}), "llama");
  EXPECT_EQ(nearest({{"is_encoder_decoder", true}}), "t5");
  EXPECT_EQ(nearest({{"is_encoder_decoder", false}, {"image_size", 224}}), "vit");
  EXPECT_EQ(nearest({{"rms_norm_eps", 1e-6}}), "llama");
  EXPECT_EQ(nearest({{"type_vocab_size", 2}}), "bert");
  EXPECT_EQ(nearest({{"n_embd", 64}, {"num_experts", nullptr}}), "gpt2");
  EXPECT_EQ(foreign_family_hint("mine", {{"hidden_size", 64}}), "");
}

TEST(ForeignFamilies, AreKnownByTheNamesOfTheirModels) {
  EXPECT_EQ(foreign_name_hint("mistralai/Mixtral-8x7B-v0.1"),
            "; mixtral models are not supported: its layers have experts; the nearest family that "
            "works is mistral");
  for (const char* name : {"tiiuae/falcon-7b", "EleutherAI/gpt-neo-1.3B", "facebook/opt-1.3b",
                           "FacebookAI/xlm-roberta-base", "bigscience/bloom-560m"}) {
    EXPECT_NE(foreign_name_hint(name), "") << name;
  }
  EXPECT_EQ(foreign_name_hint("state-spaces/mamba2-2.7b").find("; mamba2 models"), 0u);
  for (const char* name : {"optimus", "gpt2-xl", "", "/", "phil", "meta-llama/Llama-2-7b-hf",
                           "allenai/OLMo-2-1124-7B", "microsoft/Phi-3-mini-4k-instruct"}) {
    EXPECT_EQ(foreign_name_hint(name), "") << name;
  }
}

}  // namespace
}  // namespace galvatron::spec
