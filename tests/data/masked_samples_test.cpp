#include "galvatron/data/masked_samples.h"

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "galvatron/data/synthetic_samples.h"

#include "data/sample_parts.h"

namespace galvatron::data {
namespace {

constexpr std::int64_t kLength = 100, kMaskedVocab = 1000, kMask = 999, kMaskedEpoch = 50;
using Kind = spec::InputKind;

MaskedSamples masked_samples(std::uint64_t seed = 1) {
  return {std::make_unique<SyntheticSamples>(kMaskedEpoch, kLength, kMaskedVocab, 7),
          {kMask, seed, {}}};
}

at::Tensor original(std::int64_t consumed, std::int64_t count) {
  return SyntheticSamples(kMaskedEpoch, kLength, kMaskedVocab, 7)
      .next_tokens(consumed, {0, count}, {0, kLength})
      .inputs;
}

TEST(MaskedSamples, ChoosesFifteenPercentOfEachSampleAndCountsThem) {
  const MaskedSamples source = masked_samples();
  const at::Tensor labels = source.fetch(Kind::kLabels, 0, {0, 40}, {0, kLength});
  EXPECT_TRUE(labels.ne(-100).sum(1).eq(15).all().item<bool>());
  EXPECT_EQ(source.num_labels(0, 40), 40 * 15);
  EXPECT_EQ(source.num_labels(13, 7), 7 * 15);
}

TEST(MaskedSamples, LabelsAreTheTokensThemselvesAndOnlyChosenOnesChange) {
  const MaskedSamples source = masked_samples();
  const at::Tensor tokens = source.fetch(Kind::kTokens, 0, {0, 40}, {0, kLength});
  const at::Tensor labels = source.fetch(Kind::kLabels, 0, {0, 40}, {0, kLength});
  const at::Tensor text = original(0, 40), chosen = labels.ne(-100);
  EXPECT_TRUE(at::equal(labels.masked_select(chosen), text.masked_select(chosen)));
  EXPECT_TRUE(at::equal(tokens.masked_select(chosen.logical_not()),
                        text.masked_select(chosen.logical_not())));
}

TEST(MaskedSamples, MostChosenTokensAreMaskedSomeReplacedSomeKept) {
  const MaskedSamples source = masked_samples();
  const std::int64_t count = 2000;
  const at::Tensor tokens = source.fetch(Kind::kTokens, 0, {0, count}, {0, kLength});
  const at::Tensor chosen = source.fetch(Kind::kLabels, 0, {0, count}, {0, kLength}).ne(-100);
  const at::Tensor shown = tokens.masked_select(chosen),
                   text = original(0, count).masked_select(chosen);
  const auto share = [](const at::Tensor& what) {
    return what.to(at::kDouble).mean().item<double>();
  };
  EXPECT_NEAR(share(shown.eq(kMask)), 0.8, 0.01);
  EXPECT_NEAR(share(shown.eq(text)), 0.1, 0.01);
  const at::Tensor others = shown.masked_select(shown.ne(kMask).logical_and(shown.ne(text)));
  EXPECT_NEAR(static_cast<double>(others.numel()) / static_cast<double>(shown.numel()), 0.1, 0.01);
  EXPECT_NEAR(share(others), 500, 30);
}

TEST(MaskedSamples, NoLayoutChangesASample) {
  // Across an epoch's end.
  for (const Kind kind : {Kind::kTokens, Kind::kLabels}) {
    expect_parts_make_up_the_whole(masked_samples(), kind, kLength, kMaskedEpoch - 4);
  }
}

TEST(MaskedSamples, EveryEpochAndEverySeedHidesOtherTokens) {
  const auto labels = [](const MaskedSamples& source, std::int64_t consumed) {
    return source.fetch(Kind::kLabels, consumed, {0, 3}, {0, kLength});
  };
  EXPECT_TRUE(at::equal(labels(masked_samples(), 5), labels(masked_samples(), 5)));
  EXPECT_FALSE(at::equal(labels(masked_samples(), 5), labels(masked_samples(), 5 + kMaskedEpoch)));
  EXPECT_FALSE(at::equal(labels(masked_samples(), 5), labels(masked_samples(2), 5)));
}

TEST(MaskedSamples, WholeWordsAreChosenTogether) {
  // Odd tokens go on with the word of an even or odd one before them.
  WordPieces words;
  for (std::int64_t token = 0; token < kMaskedVocab; ++token) {
    words.begins_inside.push_back(token % 2 == 1);
    words.ends_inside.push_back(true);
  }
  const MaskedSamples source(
      std::make_unique<SyntheticSamples>(kMaskedEpoch, kLength, kMaskedVocab, 7),
      {kMask, 1, words});
  const std::int64_t count = 40;
  const at::Tensor chosen = source.fetch(Kind::kLabels, 0, {0, count}, {0, kLength}).ne(-100),
                   text = original(0, count);
  EXPECT_TRUE(chosen.sum(1).eq(15).all().item<bool>());
  // Where one token of a word is chosen and its neighbour is not: at the one word that is cut.
  const at::Tensor same_word = text.slice(1, 1).remainder(2).eq(1);
  const at::Tensor cut = chosen.slice(1, 1).ne(chosen.slice(1, 0, -1)).logical_and(same_word);
  EXPECT_TRUE(cut.sum(1).le(1).all().item<bool>());
  EXPECT_GT(chosen.slice(1, 1)
                .logical_and(chosen.slice(1, 0, -1))
                .logical_and(same_word)
                .sum()
                .item<std::int64_t>(),
            100);
  expect_parts_make_up_the_whole(source, Kind::kTokens, kLength, kMaskedEpoch - 4);
}

TEST(MaskedSamples, AShortSampleHidesOneToken) {
  const MaskedSamples source(std::make_unique<SyntheticSamples>(5, 2, kMaskedVocab),
                             {kMask, 1, {}});
  EXPECT_EQ(source.num_labels(0, 3), 3);
  EXPECT_EQ(source.fetch(Kind::kLabels, 0, {0, 3}, {0, 2}).ne(-100).sum().item<std::int64_t>(), 3);
}

}  // namespace
}  // namespace galvatron::data
