#include "galvatron/profiles/format.h"

#include <fmt/format.h>

#include "galvatron/base/error.h"

namespace galvatron::profiles {

void require_format(JsonReader& reader, const std::string& tag) {
  const std::string format = reader.get_string("format");
  if (format != tag) {
    throw ConfigError("[profile] ", reader.source(), " has the format '", format, "'; '", tag,
                      "' is needed here");
  }
  const std::int64_t version = reader.get_int("version", 1, 1 << 20);
  if (version != 1) {
    throw ConfigError("[profile] ", reader.source(), " has version ", version,
                      "; this program reads version 1");
  }
}

const Json& get_list(JsonReader& reader, const std::string& key) {
  const Json& list = reader.get_array(key);
  if (list.size() > kMaxEntries) {
    throw ConfigError("[profile] ", reader.source(), ": '", key, "' has ", list.size(),
                      " entries, more than ", kMaxEntries);
  }
  return list;
}

std::string entry_source(const JsonReader& reader, const std::string& key, std::size_t index) {
  return fmt::format("{}: {}[{}]", reader.source(), key, index);
}

}  // namespace galvatron::profiles
