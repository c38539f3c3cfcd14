#include "galvatron/spec/span_corruption.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace galvatron::spec {
namespace {

TEST(SpanCorruption, FillsTheInputs) {
  for (std::int64_t seq_length = 3; seq_length < 600; ++seq_length) {
    const SpanCorruption sample = span_corruption(seq_length);
    EXPECT_EQ(sample.inputs, seq_length);
    EXPECT_GT(corruption_of_text(sample.text + 1).inputs, seq_length);
    EXPECT_EQ(tokens_taken(sample.text, sample), sample.text);
  }
}

TEST(SpanCorruption, TextsWhoseTokensFitAreShortEnoughInBothSequences) {
  std::mt19937 numbers(5);
  const auto below = [&](std::int64_t end) {
    return std::uniform_int_distribution<std::int64_t>(0, end - 1)(numbers);
  };
  for (int round = 0; round < 2000; ++round) {
    const SpanCorruption sample = span_corruption(below(300) + 3);
    const auto longest = std::max<std::int64_t>(2, sample.text / (below(20) + 1));
    std::int64_t taken = 0, inputs = 0, targets = 0;
    while (true) {
      const std::int64_t text = below(longest - 1) + 2;
      const std::int64_t more = tokens_taken(text, sample);
      ASSERT_LE(text, more);
      ASSERT_LE(more, sample.text);
      taken += more;
      if (taken > sample.text) break;
      const SpanCorruption own = corruption_of_text(text);
      inputs += own.inputs;
      targets += own.targets;
    }
    EXPECT_LE(inputs, sample.inputs);
    EXPECT_LE(targets, sample.targets);
  }
}

}  // namespace
}  // namespace galvatron::spec
