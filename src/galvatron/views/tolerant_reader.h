// A JSON object of a file that a run wrote, perhaps an older or a newer one than ours: keys that
// nobody asks for may be there, those that are asked for may be missing.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/json.h"

namespace galvatron::views {

// Errors (ConfigError) name the file and the key.
class TolerantReader {
 public:
  // ConfigError unless `value` is an object.
  TolerantReader(Json value, std::string source);

  const Json& value() const { return value_; }
  // nullopt: absent or null, as JSON has no NaN.
  std::optional<double> number(const std::string& key) const;
  std::optional<std::int64_t> integer(const std::string& key) const;  // not too large for one
  // "" where it is absent; what is no text as JSON.
  std::string text(const std::string& key) const;
  // Empty where it is absent.
  TolerantReader object(const std::string& key) const;
  std::vector<TolerantReader> objects(const std::string& key) const;

 private:
  const Json* find(const std::string& key) const;

  Json value_;
  std::string source_;
};

}  // namespace galvatron::views
