#include "galvatron/data/tokenizer_file.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <string_view>

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
    if (entry.is_array() && !entry.empty() && entry[0] == Json(text))
      return static_cast<std::int64_t>(id);
  }
  return std::nullopt;
}

Json read_tokenizer(const std::filesystem::path& path) {
  const bool folder = std::filesystem::is_directory(path);
  const std::filesystem::path file = folder ? path / "tokenizer.json" : path;
  Json json = read_json_file(file, mebibytes(256));
  if (!json.is_object() || !json.contains("model") || !json["model"].is_object()) {
    throw ConfigError("[data] ", file.string(), " is no tokenizer.json: it has no \"model\"");
  }
  return json;
}

void for_each_token(const Json& vocabulary,
                    const std::function<void(const std::string& text, std::int64_t id)>& visit) {
  if (vocabulary.is_object()) {
    for (const auto& [text, id] : vocabulary.items()) {
      if (const auto number = whole_number(id)) visit(text, *number);
    }
  } else if (vocabulary.is_array()) {
    for (std::size_t id = 0; id < vocabulary.size(); ++id) {
      const Json& entry = vocabulary[id];
      if (!entry.is_array() || entry.empty() || !entry[0].is_string()) continue;
      visit(entry[0].get<std::string>(), static_cast<std::int64_t>(id));
    }
  }
}

// How byte-level tokenizers spell space, newline, tab and carriage return, and SentencePiece space.
constexpr std::array<std::string_view, 5> kSpaces = {"\u0120", "\u010a", "\u0109", "\u010d",
                                                     "\u2581"};

bool is_word_byte(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return value >= 0x80 || std::isalnum(value) || byte == '_';
}

bool begins_inside(std::string_view text) {
  for (const std::string_view space : kSpaces) {
    if (text.starts_with(space)) return false;
  }
  return !text.empty() && is_word_byte(text.front());
}

bool ends_inside(std::string_view text) {
  for (const std::string_view space : kSpaces) {
    if (text.ends_with(space)) return false;
  }
  return !text.empty() && is_word_byte(text.back());
}

}  // namespace

std::optional<std::int64_t> find_token(const std::filesystem::path& path, const std::string& text) {
  const Json json = read_tokenizer(path);
  if (const auto added = find_added(json.value("added_tokens", Json::array()), text)) return added;
  return find_in_vocabulary(json["model"].value("vocab", Json()), text);
}

std::int64_t vocabulary_size(const std::filesystem::path& path) {
  const Json json = read_tokenizer(path);
  std::int64_t size = 0;
  for_each_token(json["model"].value("vocab", Json()),
                 [&](const std::string&, std::int64_t id) { size = std::max(size, id + 1); });
  for (const Json& token : json.value("added_tokens", Json::array())) {
    if (token.is_object())
      size = std::max(size, whole_number(token.value("id", Json())).value_or(-1) + 1);
  }
  if (size == 0) throw ConfigError("[data] ", path.string(), " is a tokenizer without tokens");
  return size;
}

WordPieces read_word_pieces(const std::filesystem::path& path, std::int64_t vocab_size) {
  const Json json = read_tokenizer(path);
  const Json& model = json["model"];
  const bool marked = model.value("type", Json()) == Json("WordPiece");
  const Json prefix = model.value("continuing_subword_prefix", Json());
  const std::string mark = prefix.is_string() ? prefix.get<std::string>() : "##";
  WordPieces out;
  out.begins_inside.resize(static_cast<std::size_t>(vocab_size), false);
  out.ends_inside.resize(static_cast<std::size_t>(vocab_size), marked);
  for_each_token(model.value("vocab", Json()), [&](const std::string& text, std::int64_t id) {
    if (id < 0 || id >= vocab_size) return;
    const auto index = static_cast<std::size_t>(id);
    out.begins_inside[index] = marked ? text.starts_with(mark) : begins_inside(text);
    out.ends_inside[index] = marked || ends_inside(text);
  });
  return out;
}

}  // namespace galvatron::data
