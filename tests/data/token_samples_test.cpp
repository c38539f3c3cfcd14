#include "galvatron/data/token_samples.h"

#include <set>

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "config_error.h"
#include "data/token_file.h"

namespace galvatron::data {
namespace {

constexpr std::int64_t kTokenVocab = 2000;

// 1001 tokens, each its own position: 100 samples of 10.
class TokenSamplesTest : public testing::Test {
 protected:
  void SetUp() override { write_counting_pair(options_.prefix, 1001); }

  TokenSamples open() const { return TokenSamples(options_, kTokenVocab); }
  std::string problem(std::int64_t vocab_size = kTokenVocab) const {
    return config_error_of([&] { TokenSamples(options_, vocab_size); });
  }

  TemporaryFolder folder_;
  TokenSamplesOptions options_{
      .prefix = folder_ / "corpus", .seq_length = 10, .split = "1", .shuffle = false};
};

TEST_F(TokenSamplesTest, SampleIsARangeOfTokensAndLabelsAreShiftedByOne) {
  const TokenSamples source = open();
  EXPECT_EQ(source.size(), 100);
  const NextTokens batch =
      source.next_tokens(/*consumed=*/7, /*samples=*/{0, 2}, /*tokens=*/{0, 10});
  EXPECT_TRUE(at::equal(batch.inputs, at::arange(70, 90).view({2, 10})));
  EXPECT_TRUE(at::equal(batch.labels, at::arange(71, 91).view({2, 10})));
}

TEST_F(TokenSamplesTest, TheLastSampleNeedsItsLabel) {
  EXPECT_EQ(open().next_tokens(99, {0, 1}, {9, 10}).labels.item<std::int64_t>(), 1000);
  write_counting_pair(options_.prefix, 1000);
  EXPECT_EQ(open().size(), 99);
}

TEST_F(TokenSamplesTest, RectanglesMakeUpTheWholeBatch) {
  options_.shuffle = true;
  const TokenSamples source = open();
  // Across an epoch's end: samples 96 .. 103 of the run.
  const NextTokens whole = source.next_tokens(96, {0, 8}, {0, 10});
  for (const Range samples : {Range{0, 3}, Range{3, 8}, Range{5, 5}}) {
    for (const Range tokens : {Range{0, 4}, Range{4, 7}, Range{7, 10}, Range{2, 2}}) {
      const NextTokens part = source.next_tokens(96, samples, tokens);
      const auto cut = [&](const at::Tensor& t) {
        return t.slice(0, samples.begin, samples.end).slice(1, tokens.begin, tokens.end);
      };
      EXPECT_TRUE(at::equal(part.inputs, cut(whole.inputs)));
      EXPECT_TRUE(at::equal(part.labels, cut(whole.labels)));
    }
  }
}

TEST_F(TokenSamplesTest, EveryEpochVisitsEverySampleOnceInANewOrder) {
  options_.shuffle = true;
  const TokenSamples source = open();
  std::vector<std::vector<std::int64_t>> epochs(3);
  for (std::int64_t i = 0; i < 300; ++i) epochs[i / 100].push_back(source.index_in_file(i));
  for (const auto& epoch : epochs) {
    const std::set<std::int64_t> seen(epoch.begin(), epoch.end());
    EXPECT_EQ(seen.size(), 100u);
    EXPECT_EQ(*seen.rbegin(), 99);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
}

TEST_F(TokenSamplesTest, TheOrderIsAFunctionOfTheSeed) {
  options_.shuffle = true;
  const auto first = [this] { return open().next_tokens(0, {0, 20}, {0, 10}).inputs; };
  const at::Tensor once = first();
  EXPECT_TRUE(at::equal(once, first()));
  options_.seed += 1;
  EXPECT_FALSE(at::equal(once, first()));
}

TEST_F(TokenSamplesTest, PartsShareNoSample) {
  options_.shuffle = true;
  options_.split = "8,1,1";
  std::set<std::int64_t> seen;
  for (const SplitPart part : {SplitPart::kTrain, SplitPart::kValid, SplitPart::kTest}) {
    options_.part = part;
    const TokenSamples source = open();
    EXPECT_EQ(source.size(), part == SplitPart::kTrain ? 80 : 10);
    for (std::int64_t i = 0; i < source.size(); ++i)
      EXPECT_TRUE(seen.insert(source.index_in_file(i)).second);
  }
  EXPECT_EQ(seen.size(), 100u);
}

TEST_F(TokenSamplesTest, RefusesTooLittleText) {
  options_.seq_length = 1001;
  EXPECT_NE(problem().find("has 1001 tokens, less than one sample of 1001 inputs and a label"),
            std::string::npos)
      << problem();
  options_.seq_length = 0;
  EXPECT_NE(problem(), "");
  options_.seq_length = 10;
  write_token_pair<std::uint16_t>(options_.prefix, 8, {});
  EXPECT_NE(problem().find("has 0 tokens"), std::string::npos) << problem();
}

TEST_F(TokenSamplesTest, RefusesAnEmptyPart) {
  options_.split = "969,30,1";
  options_.part = SplitPart::kTest;
  EXPECT_NE(problem().find("leaves the test part"), std::string::npos) << problem();
}

TEST_F(TokenSamplesTest, RefusesTokensBeyondTheVocabulary) {
  EXPECT_EQ(problem(1001), "");
  EXPECT_NE(
      problem(1000).find("token id 1000 at position 1000, beyond the model's vocabulary of 1000"),
      std::string::npos)
      << problem(1000);
}

TEST_F(TokenSamplesTest, ChecksTheDescriptionBesideThePair) {
  const auto describe = [&](int tokens, int vocab_size) {
    write_bytes(options_.prefix + ".json",
                R"({"format": "galvatron-data", "version": 1, "documents": 1, "tokens": )" +
                    std::to_string(tokens) + R"(, "vocab_size": )" + std::to_string(vocab_size) +
                    "}");
  };
  describe(1001, 2000);
  EXPECT_EQ(problem(), "");
  describe(1001, 2001);
  EXPECT_NE(problem().find("made with a vocabulary of 2001, the model has 2000"), std::string::npos)
      << problem();
  describe(900, 2000);
  EXPECT_NE(problem().find("do not belong together"), std::string::npos) << problem();
}

}  // namespace
}  // namespace galvatron::data
