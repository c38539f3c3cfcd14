#include "galvatron/base/error.h"

#include <gtest/gtest.h>

namespace galvatron {
namespace {

const std::vector<std::string> kWords = {"tp_degree", "ulysses_degree", "zero_stage", "recompute"};

TEST(NearestName, FindsTheWordThatWasMeant) {
  EXPECT_EQ(nearest_name("tp_degre", kWords), "tp_degree");
  EXPECT_EQ(nearest_name("zerostage", kWords), "zero_stage");
  EXPECT_EQ(nearest_name("recompute", kWords), "recompute");
}

TEST(NearestName, SaysNothingWhenNoWordIsNear) {
  EXPECT_EQ(nearest_name("colour", kWords), "");
  EXPECT_EQ(nearest_name("anything", {}), "");
}

TEST(NearestNames, AreTheFirstOfAll) {
  EXPECT_EQ(nearest_names("zero", kWords, 1), (std::vector<std::string>{"zero_stage"}));
  EXPECT_EQ(nearest_names("tp_degree", kWords, 2),
            (std::vector<std::string>{"tp_degree", "ulysses_degree"}));
  EXPECT_EQ(nearest_names("tp_degree", kWords, 9).size(), kWords.size());
}

TEST(NearestNames, AreThoseNearestWhateverTheirCase) {
  const std::vector<std::string> devices = {"A10", "A100", "H100", "RTX4090", "MI300X"};
  EXPECT_EQ(nearest_names("h100x", devices, 3), (std::vector<std::string>{"H100", "A100", "A10"}));
  EXPECT_EQ(nearest_names("rtx5090", devices, 1), std::vector<std::string>{"RTX4090"});
  EXPECT_EQ(nearest_names("a", {"b"}, 3), std::vector<std::string>{"b"});
}

TEST(DidYouMean, IsTheEndOfASentenceOrNothing) {
  EXPECT_EQ(did_you_mean("recomputes", kWords), ", did you mean 'recompute'?");
  EXPECT_EQ(did_you_mean("colour", kWords), "");
  EXPECT_EQ(did_you_mean("fp8", {"fp64", "fp16"}),
            "; fp8 is not supported yet; train has --fp8, beside bf16");
}

TEST(ConfigErrorMessage, JoinsItsParts) {
  EXPECT_STREQ(ConfigError("[plan] pp_degree ", 3, " of ", 8.5).what(),
               "[plan] pp_degree 3 of 8.5");
}

TEST(GalvCheck, NamesTheConditionAndTheValues) {
  const int stage = 4;
  try {
    GALV_CHECK(stage < 4, "stage ", stage, " of 4");
    FAIL() << "the check did not throw";
  } catch (const InternalError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("stage < 4 does not hold: stage 4 of 4"), std::string::npos) << message;
    EXPECT_NE(message.find("error_test.cpp"), std::string::npos) << message;
  }
  EXPECT_NO_THROW(GALV_CHECK(stage == 4));
}

}  // namespace
}  // namespace galvatron
