// What training needs of a Hugging Face tokenizer.json: the ids of single tokens, and how tokens
// make up words.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace galvatron::data {

// The id of the token that is spelled `text`; nullopt where the tokenizer has none. `path` is the
// file or a folder that holds one. ConfigError when it is missing or no tokenizer.
std::optional<std::int64_t> find_token(const std::filesystem::path& path, const std::string& text);

// One more than its largest id, added tokens included. ConfigError as above, and for one that has
// no tokens.
std::int64_t vocabulary_size(const std::filesystem::path& path);

// Which tokens begin or end inside a word, by id.
struct WordPieces {
  std::vector<bool> begins_inside, ends_inside;
  bool empty() const { return begins_inside.empty(); }
  // Whether `token` goes on with the word of the token before it.
  bool continues(std::int64_t before, std::int64_t token) const {
    return ends_inside[static_cast<std::size_t>(before)] &&
           begins_inside[static_cast<std::size_t>(token)];
  }
};

// WordPiece marks the pieces that go on; of other tokenizers two pieces are one word where letters,
// digits or underscores meet. Tokens that the file does not have are words of their own.
// ConfigError as above.
WordPieces read_word_pieces(const std::filesystem::path& path, std::int64_t vocab_size);

}  // namespace galvatron::data
