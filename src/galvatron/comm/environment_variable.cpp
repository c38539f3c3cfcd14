#include "galvatron/comm/environment_variable.h"

#include <charconv>
#include <cstdlib>

#include "galvatron/base/error.h"

namespace galvatron::comm {

std::optional<std::string> variable_text(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value) return std::nullopt;
  return value;
}

std::optional<int> variable_number(const char* name, int min, int max) {
  const std::optional<std::string> value = variable_text(name);
  if (!value) return std::nullopt;
  int result = 0;
  const char* end = value->data() + value->size();
  const auto [stop, error] = std::from_chars(value->data(), end, result);
  if (error != std::errc() || stop != end || result < min || result > max) {
    throw ConfigError("[launch] ", name, "='", *value, "' is no whole number from ", min, " to ",
                      max);
  }
  return result;
}

}  // namespace galvatron::comm
