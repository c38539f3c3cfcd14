#include "galvatron/data/indexed_dataset.h"

#include <cstring>
#include <string_view>

#include "galvatron/base/error.h"

namespace galvatron::data {
namespace {

constexpr std::string_view kIndexMagic("MMIDIDX\0\0", 9);
constexpr std::size_t kHeaderBytes = 9 + 8 + 1 + 8 + 8;
constexpr std::int64_t kMostBytes = std::int64_t{1} << 62;  // of a .bin: no sum below overflows

std::filesystem::path with_suffix(std::filesystem::path prefix, const char* suffix) {
  return prefix += suffix;
}

// Values in the index are packed, hence unaligned.
template <typename T>
T load(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

std::int64_t size_of(TokenType type) {
  switch (type) {
    case TokenType::kUint8:
      return 1;
    case TokenType::kUint16:
      return 2;
    case TokenType::kInt32:
      return 4;
    case TokenType::kInt64:
      return 8;
  }
  return 0;
}

// Calls use(pointer to the first token's bytes, a value of the token type).
template <typename Use>
auto with_tokens(TokenType type, std::span<const std::byte> bytes, std::int64_t first, Use use) {
  const std::byte* start = bytes.data() + first * size_of(type);
  switch (type) {
    case TokenType::kUint8:
      return use(start, std::uint8_t{});
    case TokenType::kUint16:
      return use(start, std::uint16_t{});
    case TokenType::kInt32:
      return use(start, std::int32_t{});
    default:
      return use(start, std::int64_t{});
  }
}

struct IndexHeader {
  TokenType type;
  std::uint64_t num_sequences;
  std::uint64_t document_entries;
};

IndexHeader read_header(std::span<const std::byte> index, const std::string& path) {
  if (index.size() < kHeaderBytes) {
    throw ConfigError("[data] ", path, " is truncated: ", index.size(),
                      " bytes, less than the header of a token index");
  }
  if (std::memcmp(index.data(), kIndexMagic.data(), kIndexMagic.size()) != 0) {
    throw ConfigError("[data] ", path,
                      " is no Megatron token index (it does not start with MMIDIDX); make one with "
                      "galvatron-data");
  }
  if (const auto version = load<std::uint64_t>(index, 9); version != 1) {
    throw ConfigError("[data] ", path, " has index version ", version, "; version 1 is understood");
  }
  const auto type = static_cast<TokenType>(load<std::uint8_t>(index, 17));
  if (size_of(type) == 0) {
    throw ConfigError("[data] ", path, " has token type code ", static_cast<int>(type),
                      "; understood are 1 (uint8), 4 (int32), 5 (int64) and 8 (uint16)");
  }
  return {type, load<std::uint64_t>(index, 18), load<std::uint64_t>(index, 26)};
}

void check_index_size(std::span<const std::byte> index, const IndexHeader& header,
                      const std::string& path) {
  const std::uint64_t body = index.size() - kHeaderBytes;
  // Compare by division first: absurd counts must not overflow.
  const bool fits = header.num_sequences <= body / 12 &&
                    header.document_entries <= (body - header.num_sequences * 12) / 8;
  if (!fits) {
    throw ConfigError("[data] ", path, " is truncated or damaged: ", index.size(),
                      " bytes cannot hold the ", header.num_sequences, " sequences and ",
                      header.document_entries, " document borders that it announces");
  }
  const std::uint64_t expected = header.num_sequences * 12 + header.document_entries * 8;
  if (body != expected) {
    throw ConfigError("[data] ", path, " is damaged: it has ", body - expected,
                      " bytes more than its ", header.num_sequences, " sequences need");
  }
}

// Checks that the sequences follow one another without gaps; returns the number of tokens.
std::int64_t check_sequences(std::span<const std::byte> index, const IndexHeader& header,
                             const std::string& path) {
  const std::size_t positions = kHeaderBytes + header.num_sequences * 4;
  std::int64_t end = 0;
  for (std::uint64_t i = 0; i < header.num_sequences; ++i) {
    const auto length = load<std::int32_t>(index, kHeaderBytes + i * 4);
    const auto position = load<std::int64_t>(index, positions + i * 8);
    if (length < 0 || position != end || end > kMostBytes) {
      throw ConfigError("[data] ", path, " is damaged: sequence ", i, " has length ", length,
                        " and position ", position, ", where position ", end, " was due");
    }
    end += length * size_of(header.type);
  }
  return end / size_of(header.type);
}

void check_documents(std::span<const std::byte> index, const IndexHeader& header,
                     const std::string& path) {
  const std::size_t documents = kHeaderBytes + header.num_sequences * 12;
  std::int64_t last = 0;
  for (std::uint64_t i = 0; i < header.document_entries; ++i) {
    const auto sequence = load<std::int64_t>(index, documents + i * 8);
    if (sequence < last || sequence > static_cast<std::int64_t>(header.num_sequences)) {
      throw ConfigError("[data] ", path, " is damaged: document border ", i, " is sequence ",
                        sequence, " of ", header.num_sequences, ", after ", last);
    }
    last = sequence;
  }
}

}  // namespace

IndexedDataset::IndexedDataset(const std::filesystem::path& prefix)
    : prefix_(prefix.string()),
      index_(with_suffix(prefix, ".idx")),
      tokens_(with_suffix(prefix, ".bin")) {
  const std::string index_path = prefix_ + ".idx";
  const IndexHeader header = read_header(index_.bytes(), index_path);
  check_index_size(index_.bytes(), header, index_path);
  type_ = header.type;
  num_sequences_ = static_cast<std::int64_t>(header.num_sequences);
  num_documents_ =
      header.document_entries > 0 ? static_cast<std::int64_t>(header.document_entries) - 1 : 0;
  num_tokens_ = check_sequences(index_.bytes(), header, index_path);
  check_documents(index_.bytes(), header, index_path);
  const auto held = static_cast<std::int64_t>(tokens_.bytes().size());
  if (const std::int64_t due = num_tokens_ * size_of(type_); held != due) {
    throw ConfigError("[data] ", prefix_, ".bin ",
                      held < due ? "is truncated" : "does not belong to its index", ": it has ",
                      held, " bytes, its index describes ", due);
  }
}

void IndexedDataset::read(std::int64_t first_token, std::span<std::int64_t> out) const {
  const auto count = static_cast<std::int64_t>(out.size());
  GALV_CHECK(first_token >= 0 && count <= num_tokens_ - first_token, "tokens ", first_token, " + ",
             count, " of ", num_tokens_);
  with_tokens(type_, tokens_.bytes(), first_token, [&](const std::byte* start, auto token) {
    for (std::int64_t& value : out) {
      std::memcpy(&token, start, sizeof token);
      value = static_cast<std::int64_t>(token);
      start += sizeof token;
    }
  });
}

std::vector<std::int64_t> IndexedDataset::read(std::int64_t first_token, std::int64_t count) const {
  std::vector<std::int64_t> out(static_cast<std::size_t>(count));
  read(first_token, out);
  return out;
}

std::int64_t IndexedDataset::document_count() const {
  return num_documents_ > 0 ? num_documents_ : num_sequences_;
}

std::int64_t IndexedDataset::border_of(std::int64_t document) const {
  const auto sequences = static_cast<std::size_t>(num_sequences_);
  std::int64_t sequence = document;
  if (num_documents_ > 0) {
    sequence = load<std::int64_t>(
        index_.bytes(), kHeaderBytes + sequences * 12 + static_cast<std::size_t>(document) * 8);
  }
  if (sequence == num_sequences_) return num_tokens_;
  return load<std::int64_t>(index_.bytes(),
                            kHeaderBytes + sequences * 4 + static_cast<std::size_t>(sequence) * 8) /
         size_of(type_);
}

Range IndexedDataset::document(std::int64_t index) const {
  return {border_of(index), border_of(index + 1)};
}

std::int64_t IndexedDataset::document_of(std::int64_t token) const {
  std::int64_t first = 0, behind = document_count();  // the last that begins at the token or before
  while (behind - first > 1) {
    const std::int64_t middle = first + (behind - first) / 2;
    (border_of(middle) <= token ? first : behind) = middle;
  }
  return first;
}

void IndexedDataset::require_documents() const {
  const Range named{border_of(0), border_of(document_count())};
  if (named == Range{0, num_tokens_}) return;
  throw ConfigError("[data] ", prefix_, ".idx names documents from token ", named.begin, " to ",
                    named.end, " of ", num_tokens_,
                    ": which document the others are of is not known; prepare the corpus again");
}

TokenAt IndexedDataset::most_extreme_token(Range tokens) const {
  GALV_CHECK(!tokens.empty() && tokens.begin >= 0 && tokens.end <= num_tokens_, "tokens ",
             tokens.begin, " to ", tokens.end, " of ", num_tokens_);
  return with_tokens(type_, tokens_.bytes(), tokens.begin, [&](const std::byte* start, auto token) {
    // As unsigned words, negative ids are the largest.
    TokenAt extreme{tokens.begin, 0};
    std::uint64_t largest = 0;
    for (std::int64_t i = tokens.begin; i < tokens.end; ++i, start += sizeof token) {
      std::memcpy(&token, start, sizeof token);
      const auto id = static_cast<std::int64_t>(token);
      if (static_cast<std::uint64_t>(id) > largest) {
        largest = static_cast<std::uint64_t>(id);
        extreme = {i, id};
      }
    }
    return extreme;
  });
}

void check_token(const TokenAt& token, std::int64_t vocab_size, const std::string& prefix) {
  if (token.id >= 0 && token.id < vocab_size) return;
  throw ConfigError(
      "[data] ", prefix, ".bin has token id ", token.id, " at position ", token.position,
      ", beyond the model's vocabulary of ", vocab_size,
      "; tokenize with the model's tokenizer or train a model with a larger vocabulary");
}

}  // namespace galvatron::data
