#include "galvatron/data/tokenizer_file.h"

#include <fstream>

#include <gtest/gtest.h>

#include "config_error.h"
#include "data/token_file.h"

namespace galvatron::data {
namespace {

class TokenizerFile : public testing::Test {
 protected:
  void write(const std::string& text) { std::ofstream(path_) << text; }
  std::optional<std::int64_t> find(const std::string& token) const {
    return find_token(path_, token);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "tokenizer.json";
};

TEST_F(TokenizerFile, LooksAmongAddedTokensAndInTheVocabulary) {
  write(R"({"added_tokens": [{"id": 7, "content": "[MASK]"}],
            "model": {"type": "BPE", "vocab": {"a": 0, "b": 3}}})");
  EXPECT_EQ(find("[MASK]"), 7);
  EXPECT_EQ(find("b"), 3);
  EXPECT_EQ(find("<mask>"), std::nullopt);
}

TEST_F(TokenizerFile, UnigramVocabulariesAreLists) {
  write(R"({"model": {"type": "Unigram", "vocab": [["<pad>", 0], ["</s>", 0], ["x", -3.5]]}})");
  EXPECT_EQ(find("x"), 2);
  EXPECT_EQ(find("y"), std::nullopt);
}

TEST_F(TokenizerFile, ItsVocabularyEndsBehindTheLargestId) {
  write(R"({"added_tokens": [{"id": 7, "content": "[MASK]"}],
            "model": {"type": "BPE", "vocab": {"a": 0, "b": 3}}})");
  EXPECT_EQ(vocabulary_size(path_), 8);
  write(R"({"model": {"type": "Unigram", "vocab": [["<pad>", 0], ["</s>", 0], ["x", -3.5]]}})");
  EXPECT_EQ(vocabulary_size(path_), 3);
  write(R"({"model": {"vocab": {}}})");
  EXPECT_EQ(config_error_of([&] { vocabulary_size(path_); }),
            "[data] " + path_ + " is a tokenizer without tokens");
}

TEST_F(TokenizerFile, AFolderStandsForItsFile) {
  write(R"({"model": {"vocab": {"a": 5}}})");
  EXPECT_EQ(find_token(std::filesystem::path(path_).parent_path(), "a"), 5);
}

TEST_F(TokenizerFile, WordPieceMarksWhatGoesOn) {
  write(R"({"model": {"type": "WordPiece", "continuing_subword_prefix": "##",
                      "vocab": {"play": 0, "##ing": 1, "the": 2}}})");
  const WordPieces words = read_word_pieces(path_, 4);
  EXPECT_TRUE(words.continues(0, 1));
  EXPECT_FALSE(words.continues(0, 2));
  EXPECT_FALSE(words.continues(1, 3)) << "not in the file: a word of its own";
}

TEST_F(TokenizerFile, ElsewhereLettersThatMeetAreOneWord) {
  write(
      "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"\u0120play\": 0, \"ing\": 1, \"(\": 2, \"x\": "
      "3, \"\u010a\": 4}}}");
  const WordPieces words = read_word_pieces(path_, 5);
  EXPECT_TRUE(words.continues(0, 1)) << "playing";
  EXPECT_FALSE(words.continues(1, 0)) << "a space between";
  EXPECT_FALSE(words.continues(1, 2)) << "ing(";
  EXPECT_FALSE(words.continues(2, 3)) << "(x";
  EXPECT_FALSE(words.continues(4, 3)) << "a new line between";
}

TEST_F(TokenizerFile, DamagedFilesAreTold) {
  EXPECT_NE(config_error_of([&] { find("a"); }).find("tokenizer.json"), std::string::npos);
  for (const char* text : {"[]", "{}", R"({"model": 3})"}) {
    write(text);
    EXPECT_NE(config_error_of([&] { find("a"); }).find("is no tokenizer.json"), std::string::npos)
        << text;
  }
  write(R"({"model": {"vocab": {"a": "0"}}, "added_tokens": [3, {"id": "x", "content": "b"}]})");
  EXPECT_EQ(find("a"), std::nullopt);
  EXPECT_EQ(find("b"), std::nullopt);
}

}  // namespace
}  // namespace galvatron::data
