#include "galvatron/data/blended_samples.h"

#include <gtest/gtest.h>

#include "galvatron/data/next_token_samples.h"
#include "galvatron/data/packed_samples.h"
#include "galvatron/data/token_samples.h"

#include "sample_parts.h"
#include "token_file.h"

namespace galvatron::data {
namespace {

constexpr std::int64_t kLength = 12;
constexpr std::int64_t kVocabulary = 1000;

// Documents of 5 to 14 tokens that are all `token`.
void write_part(const std::string& prefix, std::uint16_t token, int documents) {
  std::vector<std::vector<std::uint16_t>> all;
  for (int i = 0; i < documents; ++i) all.emplace_back(static_cast<std::size_t>(5 + i % 10), token);
  write_token_pair<std::uint16_t>(prefix, 8, all);
}

class BlendedSamplesTest : public ::testing::Test {
 protected:
  BlendedSamplesTest() {
    write_part(folder_ / "a", 1, 40);
    write_part(folder_ / "b", 2, 200);
    write_part(folder_ / "c", 3, 90);
  }

  std::unique_ptr<SampleSource> part(const std::string& name, bool packed) const {
    const TokenSamplesOptions options{folder_ / name, kLength, "1",   SplitPart::kTrain,
                                      true,           5,       packed};
    std::unique_ptr<TokenRows> rows;
    if (packed) {
      rows = std::make_unique<PackedSamples>(options, kVocabulary);
    } else {
      rows = std::make_unique<TokenSamples>(options, kVocabulary);
    }
    return std::make_unique<NextTokenSamples>(std::move(rows));
  }

  BlendedSamples blend(const std::vector<std::int64_t>& shares, bool packed = false) const {
    std::vector<BlendPart> parts;
    for (const char* name : {"a", "b", "c"}) parts.push_back({name, part(name, packed)});
    return {std::move(parts), shares, 9};
  }

  TemporaryFolder folder_;
};

TEST_F(BlendedSamplesTest, EachSampleIsThePartsNext) {
  const BlendedSamples samples = blend({2, 1, 7});
  const BlendOrder order(std::vector<std::int64_t>{2, 1, 7}, 9);
  const at::Tensor tokens = samples.fetch(spec::InputKind::kTokens, 100, {0, 50}, {0, kLength});
  std::vector<std::unique_ptr<SampleSource>> parts;
  for (const char* name : {"a", "b", "c"}) parts.push_back(part(name, false));
  for (std::int64_t i = 0; i < 50; ++i) {
    const BlendOrder::Place place = order.place(100 + i);
    const at::Tensor alone =
        parts[place.part]->fetch(spec::InputKind::kTokens, place.sample, {0, 1}, {0, kLength});
    EXPECT_TRUE(at::equal(tokens[i], alone[0])) << i;
    EXPECT_EQ(tokens[i][0].item<std::int64_t>(), static_cast<std::int64_t>(place.part) + 1);
  }
}

TEST_F(BlendedSamplesTest, PartsMakeUpTheWhole) {
  for (const bool packed : {false, true}) {
    const BlendedSamples samples = blend({2, 3, 5}, packed);
    for (const auto kind : {spec::InputKind::kTokens, spec::InputKind::kLabels})
      expect_parts_make_up_the_whole(samples, kind, kLength, 31);
    EXPECT_EQ(samples.says(spec::InputKind::kDocuments), packed);
  }
}

TEST_F(BlendedSamplesTest, LabelsAreCounted) {
  for (const bool packed : {false, true}) {
    const BlendedSamples samples = blend({2, 3, 5}, packed);
    const at::Tensor labels = samples.fetch(spec::InputKind::kLabels, 17, {0, 64}, {0, kLength});
    EXPECT_EQ(samples.num_labels(17, 64),
              static_cast<double>((labels != kIgnoredLabel).sum().item<std::int64_t>()));
  }
}

TEST_F(BlendedSamplesTest, WithoutWeightsEveryEpochHasEachSampleOnce) {
  const BlendedSamples samples = blend({});
  const std::int64_t size = samples.size();
  EXPECT_EQ(size, part("a", false)->size() + part("b", false)->size() + part("c", false)->size());
  for (const BlendUse& use : samples.use_of(3 * size)) {
    EXPECT_EQ(use.samples, 3 * use.size) << use.name;
    EXPECT_EQ(use.epochs(), 3);
  }
  const std::vector<BlendUse> uneven = blend({1, 1, 2}).use_of(1000);
  EXPECT_NEAR(static_cast<double>(uneven[2].samples), 500, 1);
  EXPECT_EQ(uneven[2].share, 0.5);
  EXPECT_EQ(uneven[0].name, "a");
}

}  // namespace
}  // namespace galvatron::data
