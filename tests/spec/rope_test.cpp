// Expected numbers: inv_freq and attention_scaling of transformers 5.23's LlamaRotaryEmbedding for
// the same config, in fp32, hence the tolerance.
#include "galvatron/spec/rope.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::spec {
namespace {

constexpr std::int64_t kHeadSize = 16;
constexpr std::int64_t kMaxPositions = 2048;

RopeSpec rope(const char* text) {
  return read_rope(Json::parse(text), kHeadSize, kMaxPositions, "my-model");
}

std::string rope_refusal(const char* text) {
  return config_error_of([&] { rope(text); });
}

void expect_rope(const char* text, double scale, const std::vector<double>& frequencies) {
  const RopeSpec spec = rope(text);
  EXPECT_NEAR(spec.scale, scale, 1e-12) << text;
  ASSERT_EQ(spec.inverse_frequencies.size(), frequencies.size());
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    EXPECT_NEAR(spec.inverse_frequencies[i], frequencies[i], 2e-6 * frequencies[i])
        << text << " frequency " << i;
  }
}

const std::vector<double> kPlain = {1,    0.316227764,   0.1,   0.0316227786,
                                    0.01, 0.00316227786, 0.001, 0.000316227786};

TEST(Rope, DefaultHasBase10000) { expect_rope("{}", 1, kPlain); }

TEST(Rope, TakesItsBaseFromEitherForm) {
  const std::vector<double> expected = {1,
                                        0.193922758,
                                        0.0376060307,
                                        0.00729266508,
                                        0.00141421345,
                                        0.000274248188,
                                        5.31829573e-05,
                                        1.03133852e-05};
  expect_rope(R"({"rope_theta": 500000.0})", 1, expected);
  expect_rope(R"({"rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}})", 1,
              expected);
  expect_rope(R"({"rope_theta": 3.0, "rope_parameters": {"rope_theta": 500000.0}})", 1, expected);
}

TEST(Rope, LinearDividesByTheFactor) {
  expect_rope(
      R"({"rope_scaling": {"type": "linear", "factor": 4.0}})", 1,
      {0.25, 0.079056941, 0.025, 0.00790569466, 0.0025, 0.000790569466, 0.00025, 7.90569466e-05});
}

TEST(Rope, DynamicIsDefaultUpToTheLongestSequence) {
  expect_rope(R"({"rope_scaling": {"type": "dynamic", "factor": 2.0}})", 1, kPlain);
}

TEST(Rope, Llama3StretchesLongWavelengths) {
  expect_rope(R"({"rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", "factor": 8.0,
                  "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                  "original_max_position_embeddings": 512}})",
              1,
              {1, 0.193922758, 0.0273441337, 0.000911583134, 0.000176776681, 3.42810235e-05,
               6.64786967e-06, 1.28917316e-06});
}

TEST(Rope, YarnRampsBetweenKeptAndStretched) {
  expect_rope(
      R"({"rope_scaling": {"rope_type": "yarn", "factor": 4.0,
                  "original_max_position_embeddings": 512}})",
      1.138629436111989,
      {1, 0.25693506, 0.0625, 0.0138349654, 0.0025, 0.000790569466, 0.00025, 7.90569466e-05});
}

TEST(Rope, YarnTakesItsOptions) {
  expect_rope(R"({"rope_parameters": {"rope_theta": 1e6, "rope_type": "yarn", "factor": 8.0,
                  "original_max_position_embeddings": 256, "beta_fast": 16, "beta_slow": 2,
                  "mscale": 1.0, "mscale_all_dim": 0.5, "truncate": false}})",
              1.094179988101349,
              {1, 0.118547551, 0.00395284733, 0.000702926656, 0.000125000006, 2.22284925e-05,
               3.95284678e-06, 7.02926684e-07});
}

TEST(Rope, LongropeUsesItsShortFactorsWithinTheOriginalContext) {
  expect_rope(R"({"rope_scaling": {"rope_type": "longrope", "factor": 4.0,
                  "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7],
                  "long_factor": [2, 2, 2, 2, 2, 2, 2, 2],
                  "original_max_position_embeddings": 2048}})",
              1.087114613009218,
              {1, 0.287479758, 0.0833333358, 0.0243252143, 0.00714285718, 0.00210818532, 0.000625,
               0.000186016332});
}

TEST(Rope, RefusesWhatItDoesNotHave) {
  EXPECT_EQ(rope_refusal(R"({"rope_scaling": {"rope_type": "yarm", "factor": 2}})"),
            "[model] my-model: rope_type = 'yarm' is not supported, did you mean 'yarn'?");
  EXPECT_EQ(
      rope_refusal(R"({"partial_rotary_factor": 0.5})"),
      "[model] my-model: partial_rotary_factor = 0.5 is not supported in this family; only 1 is, "
      "of phi3 and gpt_neox others too");
  EXPECT_NE(rope_refusal(R"({"rope_parameters": {"full_attention": {"rope_theta": 1e4}}})")
                .find("rope_parameters.full_attention"),
            std::string::npos);
  EXPECT_NE(rope_refusal(R"({"rope_scaling": {"rope_type": "longrope", "short_factor": [1],
                        "long_factor": [1], "original_max_position_embeddings": 512}})")
                .find("beyond original_max_position_embeddings 512"),
            std::string::npos);
}

TEST(Rope, RefusesMissingAndImpossibleNumbers) {
  EXPECT_NE(
      rope_refusal(R"({"rope_scaling": {"rope_type": "linear"}})").find("'factor' is missing"),
      std::string::npos);
  EXPECT_NE(
      rope_refusal(R"({"rope_scaling": {"rope_type": "linear", "factor": 0}})").find("'factor'"),
      std::string::npos);
  EXPECT_NE(rope_refusal(R"({"rope_theta": -1})").find("'rope_theta' is -1"), std::string::npos);
  EXPECT_NE(rope_refusal(R"({"rope_scaling": 5})").find("rope_scaling must be an object"),
            std::string::npos);
  EXPECT_NE(rope_refusal(R"({"rope_scaling": {"rope_type": "llama3", "factor": 8.0,
                        "low_freq_factor": 4.0, "high_freq_factor": 4.0}})")
                .find("must be greater than low_freq_factor"),
            std::string::npos);
  EXPECT_NE(rope_refusal(R"({"rope_scaling": {"rope_type": "longrope", "short_factor": [1, 1],
                        "long_factor": [1, 1]}})")
                .find("short_factor has 2 numbers; 16 rotary dims of a head need 8"),
            std::string::npos);
}

}  // namespace
}  // namespace galvatron::spec
