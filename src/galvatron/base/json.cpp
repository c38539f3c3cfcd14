#include "galvatron/base/json.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <system_error>

#include <fmt/format.h>
#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/base/foreign_content.h"
#include "galvatron/base/foreign_options.h"

namespace galvatron {
namespace {

// Without the library's own name for it.
std::string reason_of(const Json::exception& error) {
  const std::string text = error.what();
  const std::size_t end = text.find("] ");
  return end == std::string::npos ? text : text.substr(end + 2);
}

constexpr int kMaxDepth = 64;

[[noreturn]] void fail_to_parse(std::string_view text, const std::string& source,
                                const Json::exception& error) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    throw ConfigError("[json] ", source, " is empty");
  const std::string content = foreign_content(text);
  if (!content.empty()) throw ConfigError("[json] ", source, " is no JSON but ", content);
  throw ConfigError("[json] ", source, " is not valid JSON: ", reason_of(error));
}

std::string read_whole_file(const std::filesystem::path& path, Bytes limit) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    throw ConfigError("[file] ", path.string(), " is a folder; a file is needed here");
  }
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw ConfigError("[file] ", path.string(),
                      " is a pipe or a device, which can be read once only; write it to a file");
  }
  const auto size = std::filesystem::file_size(path, error);
  if (error) throw ConfigError("[file] cannot read ", path.string(), ": ", error.message());
  if (static_cast<std::int64_t>(size) > limit.value) {
    throw ConfigError("[file] ", path.string(), " has ",
                      to_text(Bytes{static_cast<std::int64_t>(size)}), ", more than the ",
                      to_text(limit), " that such a file may have");
  }
  std::ifstream in(path, std::ios::binary);
  std::string text(size, '\0');
  if (!in || !in.read(text.data(), static_cast<std::streamsize>(size))) {
    throw ConfigError("[file] cannot read ", path.string());
  }
  return text;
}

const char* kind_of(const Json& value) { return value.type_name(); }

class Checksum {
 public:
  void add(std::string_view text) {
    for (const char c : text) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  std::string text() const { return fmt::format("fnv1a:{:016x}", hash_); }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
};

}  // namespace

const std::string* UniqueKeys::repeated(Json::parse_event_t event, const Json& value) {
  if (event == Json::parse_event_t::object_start) open_.emplace_back();
  if (event == Json::parse_event_t::object_end) open_.pop_back();
  if (event != Json::parse_event_t::key) return nullptr;
  const auto& key = value.get_ref<const std::string&>();
  return open_.back().insert(key).second ? nullptr : &key;
}

Json parse_json(std::string_view text, const std::string& source) {
  try {
    UniqueKeys keys;
    return Json::parse(text, [&](int depth, Json::parse_event_t event, Json& value) {
      if (depth > kMaxDepth)
        throw ConfigError("[json] ", source, " is nested deeper than ", kMaxDepth, " levels");
      if (const std::string* key = keys.repeated(event, value)) {
        throw ConfigError("[json] ", source, ": key '", *key, "' stands twice in one object");
      }
      return true;
    });
  } catch (const Json::exception& error) {
    fail_to_parse(text, source, error);
  }
}

Json read_json_file(const std::filesystem::path& path, Bytes limit) {
  return parse_json(read_whole_file(path, limit), path.string());
}

std::filesystem::path replaced_by_writing(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path target = fs::is_symlink(path, error) ? fs::weakly_canonical(path, error) : path;
  if (!fs::exists(target, error)) return target;
  if (!fs::is_regular_file(target, error)) {
    throw ConfigError("[file] cannot write ", path.string(), ": it is there and no file");
  }
  if (access(target.c_str(), W_OK) != 0) {
    throw ConfigError("[file] cannot write ", path.string(), ": ", std::strerror(errno));
  }
  return target;
}

void write_file_atomically(const std::filesystem::path& wanted, std::string_view content) {
  const std::filesystem::path path = replaced_by_writing(wanted);
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  std::filesystem::path temporary = path;
  temporary += fmt::format(".tmp{}", getpid());
  std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  if (!out) {
    std::filesystem::remove(temporary, error);
    throw ConfigError("[file] cannot write ", path.string(),
                      "; is the folder there and is the disk full?");
  }
  std::filesystem::rename(temporary, path, error);
  if (error) throw ConfigError("[file] cannot write ", path.string(), ": ", error.message());
}

void write_json_file(const std::filesystem::path& path, const OrderedJson& value) {
  write_file_atomically(path, value.dump(2) + "\n");
}

const Json* find_value(const Json& object, const std::string& key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::string value_text(const Json* value) {
  if (value == nullptr) return "nothing";
  return value->is_string() ? value->get<std::string>() : value->dump();
}

std::string first_difference(const Json& a, const Json& b,
                             const std::function<bool(const std::string&)>& counts) {
  for (const auto& [one, other] : {std::pair{&a, &b}, std::pair{&b, &a}}) {
    for (const auto& [key, value] : one->items()) {
      const Json* found = find_value(*other, key);
      if (counts(key) && (found == nullptr || *found != value)) return key;
    }
  }
  return "";
}

std::string file_checksum(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw ConfigError("[file] cannot read ", path.string());
  Checksum checksum;
  std::string buffer(1 << 16, '\0');
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), in.gcount() > 0) {
    checksum.add({buffer.data(), static_cast<std::size_t>(in.gcount())});
  }
  return checksum.text();
}

std::string text_checksum(std::string_view text) {
  Checksum checksum;
  checksum.add(text);
  return checksum.text();
}

JsonReader::JsonReader(const Json& value, std::string source, Nulls nulls)
    : value_(&value), source_(std::move(source)), nulls_(nulls) {
  if (!value.is_object())
    throw ConfigError("[json] ", source_, " must be an object, not ", kind_of(value));
}

void JsonReader::fail(const std::string& key, const std::string& problem) const {
  throw ConfigError("[json] ", source_, ": key '", key, "' ", problem);
}

void JsonReader::fail_choice(const std::string& key, const std::string& text,
                             const std::vector<std::string>& names) const {
  fail(key, fmt::format("is '{}', not one of {}{}", text, fmt::join(names, ", "),
                        did_you_mean(text, names)));
}

const Json* JsonReader::look_up(const std::string& key) const {
  const auto it = value_->find(key);
  if (it == value_->end()) return nullptr;
  if (!it->is_null()) return &*it;
  if (nulls_ == Nulls::kRefused) fail(key, "is null; give it a value or leave it away");
  return nullptr;
}

const Json* JsonReader::find(const std::string& key) {
  known_.push_back(key);
  return look_up(key);
}

const Json& JsonReader::require(const std::string& key) {
  const Json* found = find(key);
  if (!found) fail(key, "is missing" + did_you_mean(key, keys()));
  return *found;
}

bool JsonReader::has(const std::string& key) const { return look_up(key) != nullptr; }

std::int64_t JsonReader::get_int(const std::string& key, std::int64_t min, std::int64_t max) {
  const Json& value = require(key);
  const bool whole =
      value.is_number_integer() ||
      (value.is_number_float() && std::floor(value.get<double>()) == value.get<double>());
  if (!whole) fail(key, "must be a whole number, not " + value.dump());
  const double number = value.get<double>();
  if (!(number >= static_cast<double>(min) && number <= static_cast<double>(max))) {
    fail(key, fmt::format("is {}, outside {} .. {}", value.dump(), min, max));
  }
  return value.get<std::int64_t>();
}

std::int64_t JsonReader::get_int_or(const std::string& key, std::int64_t fallback, std::int64_t min,
                                    std::int64_t max) {
  return find(key) ? get_int(key, min, max) : fallback;
}

double JsonReader::get_number(const std::string& key, double min, double max) {
  const Json& value = require(key);
  if (!value.is_number()) fail(key, "must be a number, not " + value.dump());
  const double number = value.get<double>();
  if (!std::isfinite(number) || number < min || number > max) {
    fail(key, fmt::format("is {}, outside {} .. {}", value.dump(), min, max));
  }
  return number;
}

double JsonReader::get_number_or(const std::string& key, double fallback, double min, double max) {
  return find(key) ? get_number(key, min, max) : fallback;
}

bool JsonReader::get_bool_or(const std::string& key, bool fallback) {
  const Json* value = find(key);
  if (!value) return fallback;
  if (!value->is_boolean()) fail(key, "must be true or false, not " + value->dump());
  return value->get<bool>();
}

std::string JsonReader::get_string(const std::string& key) {
  const Json& value = require(key);
  if (!value.is_string()) fail(key, "must be a string, not " + value.dump());
  return value.get<std::string>();
}

std::string JsonReader::get_string_or(const std::string& key, const std::string& fallback) {
  return find(key) ? get_string(key) : fallback;
}

std::string JsonReader::get_choice_or(const std::string& key, const std::string& fallback,
                                      const std::vector<std::string>& names) {
  const std::string text = get_string_or(key, fallback);
  if (std::find(names.begin(), names.end(), text) != names.end()) return text;
  fail_choice(key, text, names);
}

const Json& JsonReader::get(const std::string& key) { return require(key); }

const Json& JsonReader::get_array(const std::string& key) {
  const Json& value = require(key);
  if (!value.is_array()) fail(key, std::string("must be an array, not ") + kind_of(value));
  return value;
}

JsonReader JsonReader::get_object(const std::string& key) {
  return JsonReader(require(key), source_ + ": " + key, nulls_);
}

std::vector<std::string> JsonReader::keys() const {
  std::vector<std::string> out;
  for (const auto& item : value_->items()) out.push_back(item.key());
  return out;
}

void JsonReader::ignore(const std::string& key) { known_.push_back(key); }

void JsonReader::finish() const {
  for (const std::string& key : keys()) {
    if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
      fail(key, "is unknown" + unknown_option_hint(key, known_, /*dashes=*/false));
    }
  }
}

}  // namespace galvatron
