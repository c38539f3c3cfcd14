// PREFIX.json, which galvatron-data writes beside a token file pair: what the tokens mean. Pairs
// made by other tools have none.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace galvatron::data {

struct CorpusInfo {
  std::int64_t vocab_size = 0;
  std::int64_t documents = 0;
  std::int64_t tokens = 0;
  std::string end_token;  // the text of the token after each document
  std::int64_t end_token_id = 0;
  std::filesystem::path
      tokenizer;  // tokenizer.json, absolute or relative to the working folder; "" where unknown
  std::string tokenizer_checksum;  // SHA-256 of it; "" where unknown
};

// nullopt when there is no PREFIX.json; ConfigError when there is one that is damaged.
std::optional<CorpusInfo> read_corpus_info(const std::filesystem::path& prefix);

}  // namespace galvatron::data
