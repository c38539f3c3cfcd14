// A Megatron token file pair, PREFIX.bin and PREFIX.idx, seen as one long row of tokens.
//
// PREFIX.bin holds the token ids of all sequences one after another. PREFIX.idx, little-endian and
// packed:
//   "MMIDIDX\0\0", version (uint64, 1), token type (uint8), sequence count (uint64), document count
//   (uint64), sequence lengths in tokens (int32 each), sequence positions in bytes (int64 each),
//   first sequence of each document and the end (int64 each).
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "galvatron/base/mapped_file.h"
#include "galvatron/base/partition.h"

namespace galvatron::data {

// The spelling of the file's type codes.
enum class TokenType : std::uint8_t { kUint8 = 1, kInt32 = 4, kInt64 = 5, kUint16 = 8 };

struct TokenAt {
  std::int64_t position = 0;  // in the row of all tokens
  std::int64_t id = 0;
};

class IndexedDataset {
 public:
  // Opens and checks the pair. ConfigError, naming the file, when one is missing, truncated, of
  // another format or version, or when the two do not belong together.
  explicit IndexedDataset(const std::filesystem::path& prefix);

  std::int64_t num_tokens() const { return num_tokens_; }
  std::int64_t num_sequences() const { return num_sequences_; }
  std::int64_t num_documents() const { return num_documents_; }
  TokenType token_type() const { return type_; }
  const std::string& prefix() const { return prefix_; }  // for messages

  // Tokens [first_token, first_token + out.size()), across document borders.
  // REQUIRES: the range lies within [0, num_tokens()].
  void read(std::int64_t first_token, std::span<std::int64_t> out) const;
  std::vector<std::int64_t> read(std::int64_t first_token, std::int64_t count) const;

  // Tokens of a document; those of all follow one another and are all tokens. An index that names
  // no documents has one for each sequence. REQUIRES: require_documents(), 0 <= index <
  // document_count().
  Range document(std::int64_t index) const;
  std::int64_t document_count() const;
  // The document that a token is of. REQUIRES: the same, 0 <= token < num_tokens().
  std::int64_t document_of(std::int64_t token) const;
  // ConfigError unless the index says of every token which document it is of.
  void require_documents() const;

  // The largest (or, where one is negative, that) token of a range: what a vocabulary check needs.
  // REQUIRES: `tokens` is not empty and lies within [0, num_tokens()].
  TokenAt most_extreme_token(Range tokens) const;

 private:
  std::int64_t border_of(std::int64_t document) const;  // its first token

  std::string prefix_;
  MappedFile index_;
  MappedFile tokens_;
  TokenType type_ = TokenType::kUint16;
  std::int64_t num_sequences_ = 0;
  std::int64_t num_documents_ = 0;
  std::int64_t num_tokens_ = 0;
};

// ConfigError with the id, its position and the vocabulary unless 0 <= token.id < vocab_size.
void check_token(const TokenAt& token, std::int64_t vocab_size, const std::string& prefix);

}  // namespace galvatron::data
