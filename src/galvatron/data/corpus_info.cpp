#include "galvatron/data/corpus_info.h"

#include <limits>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"

namespace galvatron::data {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kVersion = 1;

}  // namespace

std::optional<CorpusInfo> read_corpus_info(const std::filesystem::path& prefix) {
  std::filesystem::path path = prefix;
  path += ".json";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  const Json json = read_json_file(path);
  JsonReader reader(json, path.string());
  if (const std::string format = reader.get_string_or("format", ""); format != "galvatron-data") {
    throw ConfigError("[data] ", path.string(),
                      " was not written by galvatron-data: its \"format\" is '", format,
                      "'; move it away or prepare the corpus again");
  }
  if (const auto version = reader.get_int("version", 1, kMost); version != kVersion) {
    throw ConfigError("[data] ", path.string(), " has version ", version, "; version ", kVersion,
                      " is understood");
  }
  CorpusInfo info;
  info.vocab_size = reader.get_int("vocab_size", 1, kMost);
  info.documents = reader.get_int("documents", 0, kMost);
  info.tokens = reader.get_int("tokens", 0, kMost);
  if (reader.has("end_of_document")) {
    JsonReader end = reader.get_object("end_of_document");
    info.end_token = end.get_string("token");
    info.end_token_id = end.get_int("id", 0, info.vocab_size - 1);
  }
  if (reader.has("tokenizer")) {
    JsonReader tokenizer = reader.get_object("tokenizer");
    info.tokenizer = path.parent_path() / tokenizer.get_string("path");
    info.tokenizer_checksum = tokenizer.get_string_or("sha256", "");
  }
  return info;
}

}  // namespace galvatron::data
