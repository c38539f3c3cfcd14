#include "galvatron/data/span_samples.h"

#include <map>

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "galvatron/data/synthetic_samples.h"

#include "data/sample_parts.h"

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

}  // namespace
}  // namespace galvatron::data
