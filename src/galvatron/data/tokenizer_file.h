// What training needs of a Hugging Face tokenizer.json: the ids of single tokens.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace galvatron::data {

// The id of the token that is spelled `text`; nullopt where the tokenizer has none. `path` is the
// file or a folder that holds one. ConfigError when it is missing or no tokenizer.
std::optional<std::int64_t> find_token(const std::filesystem::path& path, const std::string& text);

}  // namespace galvatron::data
