#include "galvatron/data/tokenizer_file.h"

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"

namespace galvatron::data {
namespace {

std::optional<std::int64_t> whole_number(const Json& value) {
  return value.is_number_integer() ? std::optional(value.get<std::int64_t>()) : std::nullopt;
}

// [{"id": 5, "content": "[MASK]", ...}, ...]
std::optional<std::int64_t> find_added(const Json& tokens, const std::string& text) {
  for (const Json& token : tokens) {
    if (!token.is_object() || token.value("content", Json()) != Json(text)) continue;
    return whole_number(token.value("id", Json()));
  }
  return std::nullopt;
}

// {"the": 5, ...} of BPE and WordPiece, [["the", -3.2], ...] of Unigram.
std::optional<std::int64_t> find_in_vocabulary(const Json& vocabulary, const std::string& text) {
  if (vocabulary.is_object()) {
    const auto found = vocabulary.find(text);
    return found == vocabulary.end() ? std::nullopt : whole_number(*found);
  }
  if (!vocabulary.is_array()) return std::nullopt;
  for (std::size_t id = 0; id < vocabulary.size(); ++id) {
    const Json& entry = vocabulary[id];
    if (entry.is_array() && !entry.empty() && entry[0] == Json(text)) return static_cast<std::int64_t>(id);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::int64_t> find_token(const std::filesystem::path& path, const std::string& text) {
  const bool folder = std::filesystem::is_directory(path);
  const std::filesystem::path file = folder ? path / "tokenizer.json" : path;
  const Json json = read_json_file(file, mebibytes(256));
  if (!json.is_object() || !json.contains("model") || !json["model"].is_object()) {
    throw ConfigError("[data] ", file.string(), " is no tokenizer.json: it has no \"model\"");
  }
  if (const auto added = find_added(json.value("added_tokens", Json::array()), text)) return added;
  return find_in_vocabulary(json["model"].value("vocab", Json()), text);
}

}  // namespace galvatron::data
