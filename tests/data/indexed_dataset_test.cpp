#include "galvatron/data/indexed_dataset.h"

#include <cstring>

#include <gtest/gtest.h>

#include "config_error.h"
#include "data/token_file.h"
#include "test_paths.h"

namespace galvatron::data {
namespace {

using Tokens = std::vector<std::int64_t>;

class IndexedDatasetTest : public testing::Test {
 protected:
  // A sound pair of three documents, the middle one empty, to be damaged by the tests.
  void SetUp() override {
    write_token_pair<std::uint16_t>(prefix_, 8, {{5, 6, 7}, {}, {8, 65499}});
  }

  std::string problem() const {
    return config_error_of([this] { IndexedDataset dataset(prefix_); });
  }
  // Overwrites one value of the index.
  template <typename T>
  void patch_index(std::size_t offset, T value) {
    std::string index = read_bytes(prefix_ + ".idx");
    ASSERT_LE(offset + sizeof value, index.size());
    std::memcpy(index.data() + offset, &value, sizeof value);
    write_bytes(prefix_ + ".idx", index);
  }

  TemporaryFolder folder_;
  std::string prefix_ = folder_ / "corpus";
};

TEST_F(IndexedDatasetTest, ReadsAcrossDocumentBorders) {
  const IndexedDataset dataset(prefix_);
  EXPECT_EQ(dataset.num_tokens(), 5);
  EXPECT_EQ(dataset.num_sequences(), 3);
  EXPECT_EQ(dataset.num_documents(), 3);
  EXPECT_EQ(dataset.token_type(), TokenType::kUint16);
  EXPECT_EQ(dataset.read(0, 5), (Tokens{5, 6, 7, 8, 65499}));
  EXPECT_EQ(dataset.read(2, 2), (Tokens{7, 8}));
  EXPECT_EQ(dataset.read(5, 0), Tokens{});
  EXPECT_THROW(dataset.read(4, 2), InternalError);
}

TEST_F(IndexedDatasetTest, ReadsEveryTokenType) {
  write_token_pair<std::uint8_t>(folder_ / "u8", 1, {{0, 255}});
  write_token_pair<std::int32_t>(folder_ / "i32", 4, {{70000, -1}});
  write_token_pair<std::int64_t>(folder_ / "i64", 5, {{std::int64_t{1} << 40, 3}});
  EXPECT_EQ(IndexedDataset(folder_ / "u8").read(0, 2), (Tokens{0, 255}));
  EXPECT_EQ(IndexedDataset(folder_ / "i32").read(0, 2), (Tokens{70000, -1}));
  EXPECT_EQ(IndexedDataset(folder_ / "i64").read(0, 2), (Tokens{std::int64_t{1} << 40, 3}));
}

TEST_F(IndexedDatasetTest, ReadsWhatThePythonToolWrites) {
  // tests/python/test_data_tool.py writes the same bytes.
  const IndexedDataset dataset(testing_paths::source_dir() / "tests/golden/data/golden");
  EXPECT_EQ(dataset.num_documents(), 3);
  EXPECT_EQ(dataset.read(0, dataset.num_tokens()), (Tokens{5, 6, 7, 8, 9, 65499, 0}));
}

TEST_F(IndexedDatasetTest, FindsTheMostExtremeToken) {
  const IndexedDataset dataset(prefix_);
  EXPECT_EQ(dataset.most_extreme_token({0, 5}).id, 65499);
  EXPECT_EQ(dataset.most_extreme_token({0, 5}).position, 4);
  EXPECT_EQ(dataset.most_extreme_token({0, 4}).id, 8);
  write_token_pair<std::int32_t>(folder_ / "negative", 4, {{7, -2, 9}});
  EXPECT_EQ(IndexedDataset(folder_ / "negative").most_extreme_token({0, 3}).id, -2);
}

TEST_F(IndexedDatasetTest, NamesAMissingFile) {
  std::filesystem::remove(prefix_ + ".bin");
  EXPECT_EQ(problem(), "[file] cannot open " + prefix_ + ".bin: No such file or directory");
  std::filesystem::create_directory(prefix_ + ".bin");
  EXPECT_EQ(problem(), "[file] " + prefix_ + ".bin is not a regular file");
}

TEST_F(IndexedDatasetTest, RefusesEveryTruncationOfTheIndex) {
  const std::string whole = read_bytes(prefix_ + ".idx");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_bytes(prefix_ + ".idx", whole.substr(0, size));
    EXPECT_NE(problem().find("corpus.idx is truncated"), std::string::npos)
        << size << " bytes: " << problem();
  }
  write_bytes(prefix_ + ".idx", whole + "x");
  EXPECT_NE(problem().find("1 bytes more"), std::string::npos) << problem();
}

TEST_F(IndexedDatasetTest, RefusesATokenFileOfAnotherSize) {
  std::filesystem::resize_file(prefix_ + ".bin", 9);
  EXPECT_EQ(problem(),
            "[data] " + prefix_ + ".bin is truncated: it has 9 bytes, its index describes 10");
  std::filesystem::resize_file(prefix_ + ".bin", 12);
  EXPECT_EQ(problem(),
            "[data] " + prefix_ +
                ".bin does not belong to its index: it has 12 bytes, its index describes 10");
}

TEST_F(IndexedDatasetTest, RefusesAnotherFormat) {
  patch_index(0, 'X');
  EXPECT_NE(problem().find("is no Megatron token index"), std::string::npos) << problem();
  patch_index(0, 'M');
  patch_index(9, std::uint64_t{2});
  EXPECT_NE(problem().find("has index version 2"), std::string::npos) << problem();
  patch_index(9, std::uint64_t{1});
  patch_index(17, std::uint8_t{7});
  EXPECT_NE(problem().find("has token type code 7"), std::string::npos) << problem();
  patch_index(17, std::uint8_t{8});
  EXPECT_EQ(problem(), "");
}

TEST_F(IndexedDatasetTest, RefusesHostileCounts) {
  for (const std::uint64_t count : {std::uint64_t{4}, std::uint64_t{1} << 61, ~std::uint64_t{0}}) {
    patch_index(18, count);
    EXPECT_NE(problem().find("is truncated or damaged"), std::string::npos)
        << count << ": " << problem();
    patch_index(18, std::uint64_t{3});
    patch_index(26, count + 1 == 0 ? count : count + 1);
    EXPECT_NE(problem().find("is truncated or damaged"), std::string::npos)
        << count << ": " << problem();
    patch_index(26, std::uint64_t{4});
  }
  EXPECT_EQ(problem(), "");
}

TEST_F(IndexedDatasetTest, RefusesSequencesThatDoNotFollowOneAnother) {
  constexpr std::size_t kLengths = 34, kPositions = kLengths + 3 * 4,
                        kDocuments = kPositions + 3 * 8;
  patch_index(kLengths, std::int32_t{-3});
  EXPECT_NE(problem().find("sequence 0 has length -3"), std::string::npos) << problem();
  patch_index(kLengths, std::int32_t{3});
  patch_index(kPositions + 16, std::int64_t{4});
  EXPECT_NE(problem().find("sequence 2 has length 2 and position 4, where position 6 was due"),
            std::string::npos)
      << problem();
  patch_index(kPositions + 16, std::int64_t{6});
  patch_index(kDocuments + 8, std::int64_t{9});
  EXPECT_NE(problem().find("document border 1 is sequence 9 of 3"), std::string::npos) << problem();
}

TEST(CheckToken, NamesIdPositionAndVocabulary) {
  EXPECT_EQ(config_error_of([] { check_token({41, 49}, 50, "corpus"); }), "");
  EXPECT_EQ(
      config_error_of([] { check_token({41, 50}, 50, "corpus"); }),
      "[data] corpus.bin has token id 50 at position 41, beyond the model's vocabulary of 50; "
      "tokenize with the model's tokenizer or train a model with a larger vocabulary");
  EXPECT_NE(config_error_of([] { check_token({0, -1}, 50, "corpus"); }), "");
}

}  // namespace
}  // namespace galvatron::data
