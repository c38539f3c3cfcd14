#include "galvatron/data/span_samples.h"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "galvatron/data/packed_samples.h"
#include "galvatron/data/synthetic_samples.h"
#include "galvatron/data/token_samples.h"

#include "data/sample_parts.h"
#include "data/token_file.h"

namespace galvatron::data {
namespace {

constexpr std::int64_t kSpanVocab = 500, kFirst = 999, kEnd = 1, kStart = 0, kSpanEpoch = 30;
using Kind = spec::InputKind;
using Row = std::vector<std::int64_t>;

SpanSamples span_samples(std::int64_t seq_length, std::uint64_t seed = 1) {
  const std::int64_t text = spec::span_corruption(seq_length).text;
  return {std::make_unique<SyntheticSamples>(kSpanEpoch, text, kSpanVocab, 7),
          seq_length,
          {kFirst, kEnd, kStart, seed}};
}

Row row_of(const at::Tensor& tokens) {
  const at::Tensor flat = tokens.contiguous();
  return {flat.data_ptr<std::int64_t>(), flat.data_ptr<std::int64_t>() + flat.numel()};
}

Row fetch_row(const SpanSamples& source, Kind kind, std::int64_t sample, std::int64_t length) {
  return row_of(source.fetch(kind, sample, {0, 1}, {0, length}));
}

// Puts the text together again: each sentinel of the inputs gives way to what the labels say.
Row rebuild(const Row& inputs, const Row& labels) {
  std::map<std::int64_t, Row> gaps;
  std::int64_t sentinel = -1;
  for (std::size_t i = 0; i + 1 < labels.size(); ++i) {
    if (labels[i] >= kSpanVocab) {
      sentinel = labels[i];
    } else {
      gaps[sentinel].push_back(labels[i]);
    }
  }
  Row text;
  for (std::size_t i = 0; i + 1 < inputs.size(); ++i) {
    if (inputs[i] < kSpanVocab) {
      text.push_back(inputs[i]);
    } else {
      text.insert(text.end(), gaps[inputs[i]].begin(), gaps[inputs[i]].end());
    }
  }
  return text;
}

TEST(SpanSamples, InputsAndLabelsTogetherAreTheText) {
  for (const std::int64_t seq_length : {3, 4, 17, 64, 256}) {
    const SpanSamples source = span_samples(seq_length);
    const spec::SpanCorruption lengths = spec::span_corruption(seq_length);
    EXPECT_EQ(source.seq_length(), seq_length);
    const SyntheticSamples text(kSpanEpoch, lengths.text, kSpanVocab, 7);
    for (std::int64_t sample = 0; sample < 20; ++sample) {
      const Row inputs = fetch_row(source, Kind::kTokens, sample, lengths.inputs);
      const Row labels = fetch_row(source, Kind::kLabels, sample, lengths.targets);
      EXPECT_EQ(inputs.back(), kEnd);
      EXPECT_EQ(labels.back(), kEnd);
      EXPECT_EQ(labels.front(), kFirst);
      EXPECT_EQ(rebuild(inputs, labels),
                row_of(text.next_tokens(sample, {0, 1}, {0, lengths.text}).inputs));
    }
  }
}

TEST(SpanSamples, SentinelsCountDown) {
  const SpanSamples source = span_samples(64);
  const spec::SpanCorruption lengths = spec::span_corruption(64);
  std::int64_t next = kFirst;
  for (const std::int64_t token : fetch_row(source, Kind::kTokens, 3, lengths.inputs)) {
    if (token >= kSpanVocab) {
      EXPECT_EQ(token, next--);
    }
  }
  EXPECT_EQ(next, kFirst - lengths.spans);
}

TEST(SpanSamples, TheDecoderReadsTheLabelsOnePlaceLater) {
  const SpanSamples source = span_samples(64);
  const std::int64_t targets = spec::span_corruption(64).targets;
  Row expected = fetch_row(source, Kind::kLabels, 5, targets);
  expected.insert(expected.begin(), kStart);
  expected.pop_back();
  EXPECT_EQ(fetch_row(source, Kind::kTargetTokens, 5, targets), expected);
  EXPECT_EQ(source.num_labels(0, 6), 6 * targets);
}

TEST(SpanSamples, NoLayoutChangesASample) {
  const spec::SpanCorruption lengths = spec::span_corruption(40);
  // Across an epoch's end.
  expect_parts_make_up_the_whole(span_samples(40), Kind::kTokens, lengths.inputs, kSpanEpoch - 4);
  expect_parts_make_up_the_whole(span_samples(40), Kind::kTargetTokens, lengths.targets,
                                 kSpanEpoch - 4);
  expect_parts_make_up_the_whole(span_samples(40), Kind::kLabels, lengths.targets, kSpanEpoch - 4);
}

TEST(SpanSamples, EveryEpochAndEverySeedHasOtherGaps) {
  const auto inputs = [](const SpanSamples& source, std::int64_t sample) {
    return fetch_row(source, Kind::kTokens, sample, 64);
  };
  EXPECT_EQ(inputs(span_samples(64), 2), inputs(span_samples(64), 2));
  EXPECT_NE(inputs(span_samples(64), 2), inputs(span_samples(64), 2 + kSpanEpoch));
  EXPECT_NE(inputs(span_samples(64), 2), inputs(span_samples(64, 2), 2));
}

// --- documents ---

// Those of its tokens that are of text `id`.
Row tokens_of(const Row& tokens, const Row& ids, std::int64_t id) {
  Row out;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (ids[i] == id) out.push_back(tokens[i]);
  }
  return out;
}

class SpanDocumentsTest : public testing::Test {
 protected:
  static constexpr std::int64_t kLength = 40;  // 44 tokens of text, targets of 10

  // Documents of these lengths; a token's id is its position in the file.
  void write(const std::vector<int>& lengths) {
    std::vector<std::vector<std::uint16_t>> documents;
    std::uint16_t next = 0;
    for (const int length : lengths) {
      auto& document = documents.emplace_back(static_cast<std::size_t>(length));
      for (std::uint16_t& token : document) token = next++;
    }
    write_token_pair<std::uint16_t>(options_.prefix, 8, documents);
  }

  SpanSamples samples(bool packed) const {
    std::unique_ptr<TokenRows> rows;
    if (packed) {
      rows = std::make_unique<PackedSamples>(options_, kSpanVocab, [this](std::int64_t text) {
        return spec::tokens_taken(text, lengths_);
      });
    } else {
      rows = std::make_unique<TokenSamples>(options_, kSpanVocab);
    }
    return {std::move(rows), kLength, {kFirst, kEnd, kStart, 1}};
  }

  // The texts of a sample, put together again, once all that it says of them is looked at.
  std::vector<Row> texts(const SpanSamples& source, std::int64_t sample) const {
    const auto fetch = [&](Kind kind, std::int64_t length) {
      return fetch_row(source, kind, sample, length);
    };
    const Row ids = fetch(Kind::kDocuments, lengths_.inputs),
              target_ids = fetch(Kind::kTargetDocuments, lengths_.targets);
    const Row inputs = fetch(Kind::kTokens, lengths_.inputs),
              read = fetch(Kind::kTargetTokens, lengths_.targets),
              labels = fetch(Kind::kLabels, lengths_.targets);
    std::vector<Row> out;
    for (std::int64_t id = 1; std::ranges::find(ids, id) != ids.end(); ++id) {
      const Row own = tokens_of(inputs, ids, id), said = tokens_of(labels, target_ids, id);
      EXPECT_EQ(own.back(), kEnd);
      EXPECT_EQ(said.back(), kEnd);
      EXPECT_EQ(said.front(), kFirst);
      Row expected = said;
      expected.insert(expected.begin(), kStart);
      expected.pop_back();
      EXPECT_EQ(tokens_of(read, target_ids, id), expected);
      out.push_back(rebuild(own, said));
      const spec::SpanCorruption lengths =
          spec::corruption_of_text(static_cast<std::int64_t>(out.back().size()));
      EXPECT_EQ(static_cast<std::int64_t>(own.size()), lengths.inputs);
      EXPECT_EQ(static_cast<std::int64_t>(said.size()), lengths.targets);
    }
    for (std::size_t i = 0; i < labels.size(); ++i) EXPECT_EQ(labels[i] < 0, target_ids[i] == 0);
    EXPECT_EQ(source.num_labels(sample, 1),
              static_cast<double>(std::ranges::count_if(labels, [](auto l) { return l >= 0; })));
    return out;
  }

  TemporaryFolder folder_;
  const spec::SpanCorruption lengths_ = spec::span_corruption(kLength);
  TokenSamplesOptions options_{.prefix = folder_ / "corpus",
                               .seq_length = lengths_.text,
                               .split = "1",
                               .shuffle = false,
                               .keep_documents_apart = true};
};

TEST_F(SpanDocumentsTest, PackedAreTextsOfTheirOwn) {
  const std::vector<int> sizes = {20, 7, 3, 1, 43, 12, 2, 30, 8, 70, 5};
  write(sizes);
  const SpanSamples source = samples(/*packed=*/true);
  EXPECT_TRUE(source.says(Kind::kDocuments) && source.says(Kind::kTargetDocuments));
  EXPECT_FALSE(source.says(Kind::kPositions));
  std::map<std::int64_t, std::int64_t> found;  // size by first token
  for (std::int64_t sample = 0; sample < source.size(); ++sample) {
    for (const Row& text : texts(source, sample)) {
      for (std::size_t i = 0; i < text.size(); ++i)
        EXPECT_EQ(text[i], text[0] + static_cast<std::int64_t>(i));
      EXPECT_TRUE(found.emplace(text[0], text.size()).second);
    }
  }
  // Each whole, but for that of one token; the one of 70 in two pieces that overlap by a token.
  const std::map<std::int64_t, std::int64_t> expected = {{0, 20},   {20, 7},   {27, 3},  {31, 43},
                                                         {74, 12},  {86, 2},   {88, 30}, {118, 8},
                                                         {126, 44}, {169, 27}, {196, 5}};
  EXPECT_EQ(found, expected);
}

TEST_F(SpanDocumentsTest, OfTheRowOfAllTokensLoseWhatDoesNotFit) {
  write({20, 30, 36, 43});
  const SpanSamples source = samples(/*packed=*/false);
  ASSERT_EQ(source.size(), 2);
  // 20 tokens, then 24 of the next, of which one end more leaves room for 22.
  const std::vector<Row> first = texts(source, 0);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].size(), 20U);
  EXPECT_EQ(first[1][0], 20);
  EXPECT_EQ(first[1].size(), 22U);
}

TEST_F(SpanDocumentsTest, NoLayoutChangesASample) {
  write({20, 7, 3, 1, 43, 12, 2, 30, 8, 70, 5});
  for (const bool packed : {false, true}) {
    const SpanSamples source = samples(packed);
    for (const Kind kind : {Kind::kTokens, Kind::kDocuments})
      expect_parts_make_up_the_whole(source, kind, lengths_.inputs, 2);
    for (const Kind kind : {Kind::kTargetTokens, Kind::kLabels, Kind::kTargetDocuments})
      expect_parts_make_up_the_whole(source, kind, lengths_.targets, 2);
  }
}

}  // namespace
}  // namespace galvatron::data
