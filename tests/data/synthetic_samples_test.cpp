#include "galvatron/data/synthetic_samples.h"

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "config_error.h"

namespace galvatron::data {
namespace {

TEST(SyntheticSamples, LabelsAreTheNextInputs) {
  const SyntheticSamples source(/*size=*/10, /*seq_length=*/16, /*vocab_size=*/100, /*seed=*/1);
  const NextTokens batch = source.next_tokens(0, {0, 4}, {0, 16});
  EXPECT_EQ(batch.inputs.sizes(), (std::vector<std::int64_t>{4, 16}));
  EXPECT_EQ(batch.labels.scalar_type(), at::kLong);
  EXPECT_TRUE(at::equal(batch.inputs.slice(1, 1), batch.labels.slice(1, 0, 15)));
  EXPECT_GE(batch.labels.min().item<std::int64_t>(), 0);
  EXPECT_LT(batch.labels.max().item<std::int64_t>(), 100);
  EXPECT_FALSE(at::equal(batch.inputs[0], batch.inputs[1]));
}

TEST(SyntheticSamples, EpochsRepeatAndSeedsDiffer) {
  const SyntheticSamples source(10, 16, 100, 1);
  const auto first = source.next_tokens(0, {0, 10}, {0, 16}).inputs;
  EXPECT_TRUE(at::equal(first, source.next_tokens(20, {0, 10}, {0, 16}).inputs));
  EXPECT_FALSE(
      at::equal(first, SyntheticSamples(10, 16, 100, 2).next_tokens(0, {0, 10}, {0, 16}).inputs));
}

TEST(SyntheticSamples, RefusesEmptySizes) {
  EXPECT_NE(config_error_of([] { SyntheticSamples(0, 16, 100); }), "");
  EXPECT_NE(config_error_of([] { SyntheticSamples(10, 16, 0); }), "");
}

}  // namespace
}  // namespace galvatron::data
