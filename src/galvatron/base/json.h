// JSON files read with limits and clear errors: every message names the file and the key.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "galvatron/base/enum_names.h"
#include "galvatron/base/units.h"

namespace galvatron {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

// ConfigError when the file is missing, larger than `limit`, nested deeper than 64 or no JSON, or
// when a key stands twice in one object.
Json read_json_file(const std::filesystem::path& path, Bytes limit = mebibytes(64));

// Parses text; `source` names it in errors.
Json parse_json(std::string_view text, const std::string& source);

// What writing to `path` replaces: itself, or what a link names. ConfigError for what is there and
// no file (a device, a pipe, a folder) or may not be written.
std::filesystem::path replaced_by_writing(const std::filesystem::path& path);
// Writes to a temporary file beside replaced_by_writing(path) and renames it, so that a reader
// never sees half a file.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);
void write_json_file(const std::filesystem::path& path, const OrderedJson& value);

// The value under a key, or nullptr. REQUIRES: `object` is one.
const Json* find_value(const Json& object, const std::string& key);
// For sentences: a text without quotes, "nothing" for nullptr.
std::string value_text(const Json* value);
// The first key of either object that the other lacks or has with another value; `counts(key)` says
// whether it matters. "" for none.
std::string first_difference(
    const Json& a, const Json& b,
    const std::function<bool(const std::string&)>& counts = [](const std::string&) {
      return true;
    });

// Lower-case hex SHA-free fingerprint (FNV-1a, 64 bit) of a file's bytes: provenance, not security.
std::string file_checksum(const std::filesystem::path& path);
std::string text_checksum(std::string_view text);  // the same of a text

// Finds keys that stand twice in one object, from the events of nlohmann's parser.
class UniqueKeys {
 public:
  // The key, where the event names it for the second time; else nullptr.
  const std::string* repeated(Json::parse_event_t event, const Json& value);

 private:
  std::vector<std::set<std::string>> open_;  // of the objects around the event
};

// What null means as a value: no value (our own files hold none), or that the key is absent, as in
// Hugging Face's configurations and in Python's options.
enum class Nulls { kRefused, kAbsent };

// A JSON object whose keys are taken one by one; finish() rejects the ones nobody asked for.
class JsonReader {
 public:
  // `source` is the file (and path inside it) that errors name. ConfigError unless `value` is an
  // object.
  JsonReader(const Json& value, std::string source, Nulls nulls = Nulls::kRefused);

  bool has(const std::string& key) const;
  std::int64_t get_int(const std::string& key, std::int64_t min, std::int64_t max);
  std::int64_t get_int_or(const std::string& key, std::int64_t fallback, std::int64_t min,
                          std::int64_t max);
  double get_number(const std::string& key, double min, double max);  // finite
  double get_number_or(const std::string& key, double fallback, double min, double max);
  bool get_bool_or(const std::string& key, bool fallback);
  std::string get_string(const std::string& key);
  std::string get_string_or(const std::string& key, const std::string& fallback);
  // One of `names`; the error names the nearest.
  std::string get_choice_or(const std::string& key, const std::string& fallback,
                            const std::vector<std::string>& names);
  template <NamedEnum E>
  E get_enum_or(const std::string& key, E fallback) {
    const std::string text = get_string_or(key, enum_text(fallback));
    if (const auto value = find_enum<E>(text)) return *value;
    fail_choice(key, text, enum_names<E>());
  }
  const Json& get(const std::string& key);        // any value, must be there
  const Json& get_array(const std::string& key);  // must be an array
  JsonReader get_object(const std::string& key);  // must be an object
  std::vector<std::string> keys() const;
  void ignore(const std::string& key);

  // ConfigError for a key that was never asked for, naming the nearest known one.
  void finish() const;

  const std::string& source() const { return source_; }

 private:
  const Json* look_up(const std::string& key) const;  // nullptr: absent
  const Json* find(const std::string& key);
  const Json& require(const std::string& key);
  [[noreturn]] void fail(const std::string& key, const std::string& problem) const;
  [[noreturn]] void fail_choice(const std::string& key, const std::string& text,
                                const std::vector<std::string>& names) const;

  const Json* value_;
  std::string source_;
  Nulls nulls_;
  std::vector<std::string> known_;
};

}  // namespace galvatron
