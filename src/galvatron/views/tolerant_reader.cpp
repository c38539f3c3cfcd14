#include "galvatron/views/tolerant_reader.h"

#include <cmath>
#include <utility>

#include "galvatron/base/error.h"

namespace galvatron::views {
namespace {

const char* kind_name(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "nothing";
    case Json::value_t::array:
      return "list";
    case Json::value_t::object:
      return "dict";
    case Json::value_t::string:
      return "str";
    case Json::value_t::boolean:
      return "bool";
    case Json::value_t::number_float:
      return "float";
    default:
      return "int";
  }
}

std::string shortened(const Json& value) {
  constexpr std::size_t kMost = 40;
  return value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, kMost);
}

}  // namespace

TolerantReader::TolerantReader(Json value, std::string source)
    : value_(std::move(value)), source_(std::move(source)) {
  if (value_.is_object()) return;
  throw ConfigError(source_, " must be a JSON object, not ", kind_name(value_));
}

const Json* TolerantReader::find(const std::string& key) const {
  const Json* found = find_value(value_, key);
  return found == nullptr || found->is_null() ? nullptr : found;
}

std::optional<double> TolerantReader::number(const std::string& key) const {
  const Json* found = find(key);
  if (found == nullptr) return std::nullopt;
  if (!found->is_number()) {
    throw ConfigError(source_, ": '", key, "' must be a number, not ", shortened(*found));
  }
  const auto out = found->get<double>();
  return std::isfinite(out) ? std::optional(out) : std::nullopt;
}

std::optional<std::int64_t> TolerantReader::integer(const std::string& key) const {
  constexpr double kMost = 9e15;  // beyond it a double is no exact count
  const std::optional<double> out = number(key);
  if (!out) return std::nullopt;
  if (*out != std::trunc(*out) || std::abs(*out) > kMost) {
    throw ConfigError(source_, ": '", key, "' must be a whole number, not ", shortened(*find(key)));
  }
  return static_cast<std::int64_t>(*out);
}

std::string TolerantReader::text(const std::string& key) const {
  const Json* found = find(key);
  return found == nullptr ? "" : value_text(found);
}

TolerantReader TolerantReader::object(const std::string& key) const {
  const Json* found = find(key);
  return {found == nullptr ? Json::object() : *found, source_ + ", '" + key + "'"};
}

std::vector<TolerantReader> TolerantReader::objects(const std::string& key) const {
  std::vector<TolerantReader> out;
  const Json* found = find(key);
  if (found == nullptr) return out;
  if (!found->is_array()) {
    throw ConfigError(source_, ": '", key, "' must be a list, not ", kind_name(*found));
  }
  for (std::size_t i = 0; i < found->size(); ++i) {
    out.emplace_back((*found)[i], detail::concat(source_, ", '", key, "'[", i, "]"));
  }
  return out;
}

}  // namespace galvatron::views
