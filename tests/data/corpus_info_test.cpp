#include "galvatron/data/corpus_info.h"

#include <gtest/gtest.h>

#include "config_error.h"
#include "data/token_file.h"

namespace galvatron::data {
namespace {

TEST(CorpusInfo, ReadsWhatTheToolWrote) {
  const TemporaryFolder folder;
  EXPECT_FALSE(read_corpus_info(folder / "corpus").has_value());
  write_bytes(
      folder / "corpus.json",
      R"({"format": "galvatron-data", "version": 1, "vocab_size": 512, "documents": 3, "tokens": 40,
                  "end_of_document": {"token": "<|endoftext|>", "id": 0},
                  "tokenizer": {"path": "tokenizer.json", "sha256": "00"}, "sources": {}})");
  const auto info = read_corpus_info(folder / "corpus");
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->vocab_size, 512);
  EXPECT_EQ(info->documents, 3);
  EXPECT_EQ(info->tokens, 40);
  EXPECT_EQ(info->end_token, "<|endoftext|>");
  EXPECT_EQ(info->end_token_id, 0);
  EXPECT_EQ(info->tokenizer, folder / "tokenizer.json");
}

TEST(CorpusInfo, RefusesWhatItDoesNotUnderstand) {
  const TemporaryFolder folder;
  const auto problem_of = [&](const std::string& text) {
    write_bytes(folder / "corpus.json", text);
    return config_error_of([&] { read_corpus_info(folder / "corpus"); });
  };
  EXPECT_NE(problem_of(R"({"vocab_size": 5})").find("was not written by galvatron-data"),
            std::string::npos);
  EXPECT_NE(problem_of(R"({"format": "galvatron-data", "version": 2})").find("has version 2"),
            std::string::npos);
  EXPECT_NE(problem_of(R"({"format": "galvatron-data", "version": 1})").find("vocab_size"),
            std::string::npos);
  EXPECT_NE(problem_of("{").find("not valid JSON"), std::string::npos);
}

}  // namespace
}  // namespace galvatron::data
