// Documents that are kept apart: masked in samples of the row of all tokens, or packed whole.
#include "galvatron/data/packed_samples.h"

#include <numeric>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "galvatron/data/best_fit.h"
#include "galvatron/data/masked_samples.h"
#include "galvatron/data/next_token_samples.h"

#include "config_error.h"
#include "data/token_file.h"

namespace galvatron::data {
namespace {

constexpr std::int64_t kVocab = 5000;

at::Tensor row(const std::vector<std::int64_t>& values) {
  return at::tensor(values, at::kLong).unsqueeze(0);
}

// --- best fit ---

// As the definition says, one bin after another.
std::vector<std::vector<std::int64_t>> pack_slowly(const std::vector<std::int32_t>& sizes,
                                                   std::int32_t capacity) {
  std::vector<std::int64_t> order(sizes.size());
  std::iota(order.begin(), order.end(), 0);
  const auto size_of = [&](std::int64_t item) { return sizes[static_cast<std::size_t>(item)]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return size_of(a) > size_of(b); });
  struct Bin {
    std::vector<std::int64_t> items;
    std::int32_t room = 0;
    std::int64_t since = 0;
  };
  std::vector<Bin> bins;
  std::int64_t now = 0;
  for (const std::int64_t item : order) {
    Bin* best = nullptr;
    for (Bin& bin : bins) {
      if (bin.room < size_of(item)) continue;
      if (best == nullptr || std::pair(bin.room, bin.since) < std::pair(best->room, best->since))
        best = &bin;
    }
    if (best == nullptr) best = &bins.emplace_back(Bin{{}, capacity, 0});
    best->items.push_back(item);
    best->room -= size_of(item);
    best->since = ++now;
  }
  std::vector<std::vector<std::int64_t>> out;
  for (Bin& bin : bins) {
    std::sort(bin.items.begin(), bin.items.end());
    out.push_back(bin.items);
  }
  std::sort(out.begin(), out.end());
  return out;
}

TEST(BestFit, IsWhatItsDefinitionSays) {
  std::mt19937 random(20261129);
  for (int round = 0; round < 300; ++round) {
    const auto capacity = static_cast<std::int32_t>(random() % 300 + 1);
    std::vector<std::int32_t> sizes(random() % 200);
    for (std::int32_t& size : sizes)
      size = static_cast<std::int32_t>(random() % static_cast<unsigned>(capacity)) + 1;
    const Packing packing = pack_best_fit(sizes, capacity);
    std::vector<std::vector<std::int64_t>> bins;
    for (std::int64_t bin = 0; bin < packing.num_bins(); ++bin) {
      bins.emplace_back(packing.items.begin() + packing.begins[static_cast<std::size_t>(bin)],
                        packing.items.begin() + packing.begins[static_cast<std::size_t>(bin) + 1]);
    }
    EXPECT_EQ(bins, pack_slowly(sizes, capacity)) << "round " << round;
  }
}

// --- samples ---

class DocumentsTest : public testing::Test {
 protected:
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

  TemporaryFolder folder_;
  TokenSamplesOptions options_{.prefix = folder_ / "corpus",
                               .seq_length = 6,
                               .split = "1",
                               .shuffle = false,
                               .keep_documents_apart = true};
};

TEST_F(DocumentsTest, OfTheRowOfAllTokensAreToldApart) {
  write({4, 5, 9, 1});
  const NextTokenSamples samples(std::make_unique<TokenSamples>(options_, kVocab));
  using spec::InputKind;
  ASSERT_EQ(samples.size(), 3);
  EXPECT_TRUE(samples.says(InputKind::kDocuments) && samples.says(InputKind::kPositions));
  const auto fetch = [&](InputKind kind, std::int64_t sample) {
    return samples.fetch(kind, sample, {0, 1}, {0, 6});
  };
  EXPECT_TRUE(at::equal(fetch(InputKind::kTokens, 0), row({0, 1, 2, 3, 4, 5})));
  EXPECT_TRUE(at::equal(fetch(InputKind::kLabels, 0), row({1, 2, 3, -100, 5, 6})));
  EXPECT_TRUE(at::equal(fetch(InputKind::kDocuments, 0), row({1, 1, 1, 1, 2, 2})));
  EXPECT_TRUE(at::equal(fetch(InputKind::kPositions, 0), row({0, 1, 2, 3, 0, 1})));
  // A document that began in the sample before starts anew.
  EXPECT_TRUE(at::equal(fetch(InputKind::kLabels, 1), row({7, 8, -100, 10, 11, 12})));
  EXPECT_TRUE(at::equal(fetch(InputKind::kPositions, 1), row({0, 1, 2, 0, 1, 2})));
  EXPECT_TRUE(at::equal(samples.fetch(InputKind::kLabels, 0, {0, 2}, {3, 5}),
                        at::tensor({-100L, 5L, 10L, 11L}, at::kLong).view({2, 2})));
  EXPECT_EQ(samples.num_labels(0, 3), 5 + 5 + 5);
}

TEST_F(DocumentsTest, ArePackedWhole) {
  write({4, 2, 9, 3, 1, 6, 0, 2});  // the ninth of the third is in a piece of its own
  const PackedSamples rows(options_, kVocab);
  // Pieces: 0..3, 4..5, 6..11, 11..14, 15..17, 19..24, 25..26; that of one token teaches nothing.
  const NextTokenSamples samples(std::make_unique<PackedSamples>(options_, kVocab));
  using spec::InputKind;
  ASSERT_EQ(samples.size(), 5);
  EXPECT_EQ(rows.fill(), 27.0 / 30);
  std::multiset<std::int64_t> labels;
  for (std::int64_t sample = 0; sample < 5; ++sample) {
    const at::Tensor answers = samples.fetch(InputKind::kLabels, sample, {0, 1}, {0, 6});
    const at::Tensor tokens = samples.fetch(InputKind::kTokens, sample, {0, 1}, {0, 6});
    const at::Tensor ids = samples.fetch(InputKind::kDocuments, sample, {0, 1}, {0, 6});
    const at::Tensor learned = answers.ne(-100);
    EXPECT_TRUE(at::equal(answers.masked_select(learned), tokens.masked_select(learned) + 1));
    EXPECT_TRUE(ids.masked_select(learned).gt(0).all().item<bool>());
    EXPECT_EQ(samples.num_labels(sample, 1), learned.sum().item<double>());
    const at::Tensor flat = answers.masked_select(learned);
    for (std::int64_t i = 0; i < flat.numel(); ++i) labels.insert(flat[i].item<std::int64_t>());
  }
  // Every token but the first of each document, once.
  const std::multiset<std::int64_t> all = {1,  2,  3,  5,  7,  8,  9,  10, 11, 12,
                                           13, 14, 16, 17, 20, 21, 22, 23, 24, 26};
  EXPECT_EQ(labels, all);
}

TEST_F(DocumentsTest, OfOneSplitAreWhole) {
  write({5, 5, 5, 5, 5, 5});
  options_.split = "4,1,1";
  std::set<std::int64_t> seen;
  for (const SplitPart part : {SplitPart::kTrain, SplitPart::kValid, SplitPart::kTest}) {
    options_.part = part;
    const PackedSamples rows(options_, kVocab);
    EXPECT_EQ(rows.size(), part == SplitPart::kTrain ? 4 : 1);
    for (std::int64_t i = 0; i < rows.size(); ++i) {
      std::vector<std::int64_t> tokens(5);
      rows.read_tokens(i, 0, tokens);
      EXPECT_TRUE(seen.insert(tokens[0]).second);
    }
  }
  EXPECT_EQ(seen.size(), 6u);
}

// What is chosen of packed samples is text, in the same share.
TEST_F(DocumentsTest, OfMaskedSamplesHideNoPadding) {
  options_.seq_length = 40;
  write({21, 13, 30});
  const MaskedSamples samples(std::make_unique<PackedSamples>(options_, kVocab), {1, 5, {}});
  ASSERT_EQ(samples.size(), 2);
  for (std::int64_t i = 0; i < 2; ++i) {
    const at::Tensor labels = samples.fetch(spec::InputKind::kLabels, i, {0, 1}, {0, 40}).ne(-100);
    const at::Tensor text = samples.fetch(spec::InputKind::kDocuments, i, {0, 1}, {0, 40}).gt(0);
    EXPECT_TRUE(at::equal(labels.logical_and(text), labels));
    EXPECT_EQ(samples.num_labels(i, 1), labels.sum().item<double>());
    EXPECT_EQ(labels.sum().item<std::int64_t>(), std::llround(0.15 * text.sum().item<double>()));
  }
}

TEST_F(DocumentsTest, SayWhatIsWrong) {
  write({1, 1, 0});
  const auto problem = [&] { return config_error_of([&] { PackedSamples(options_, kVocab); }); };
  EXPECT_EQ(problem(), "[data] the 3 documents of the train part of " + options_.prefix +
                           " have less than two tokens each: there is nothing to predict");
  options_.part = SplitPart::kValid;
  EXPECT_NE(problem().find("leaves the valid part"), std::string::npos);
  options_.seq_length = 1;
  EXPECT_NE(problem().find("of 2 tokens or more"), std::string::npos);
}

}  // namespace
}  // namespace galvatron::data
