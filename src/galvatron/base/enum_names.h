// Enums whose values have names. One function beside the enum, in its namespace, says them:
//
//   constexpr EnumNames<2> names_of(Colour) { return {"colour", {"red", "green"}}; }
//
// The values must be 0, 1, ... in that order. Text, parsing with a suggestion and lists follow.
#pragma once
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "galvatron/base/error.h"

namespace galvatron {

template <std::size_t N>
struct EnumNames {
  const char* what;  // the tag of error sentences
  std::array<const char*, N> names;
};

template <typename E>
concept NamedEnum = std::is_enum_v<E> && requires(E value) { names_of(value).names; };

template <NamedEnum E>
const std::vector<std::string>& enum_names() {
  constexpr auto kNames = names_of(E{}).names;
  static const std::vector<std::string> names(kNames.begin(), kNames.end());
  return names;
}

template <NamedEnum E>
constexpr auto enum_values() {
  std::array<E, names_of(E{}).names.size()> values{};
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<E>(i);
  return values;
}

template <NamedEnum E>
std::string enum_text(E value) {
  return enum_names<E>().at(static_cast<std::size_t>(value));
}

// nullopt: there is no such name.
template <NamedEnum E>
std::optional<E> find_enum(const std::string& text) {
  const auto& names = enum_names<E>();
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) return std::nullopt;
  return static_cast<E>(found - names.begin());
}

// "none, selective, full"
template <NamedEnum E>
std::string enum_list() {
  std::string out;
  for (const std::string& name : enum_names<E>()) out += (out.empty() ? "" : ", ") + name;
  return out;
}

template <NamedEnum E>
E parse_enum(const std::string& text) {
  if (const auto value = find_enum<E>(text)) return *value;
  throw ConfigError("[", names_of(E{}).what, "] '", text, "' is not one of ", enum_list<E>(),
                    did_you_mean(text, enum_names<E>()));
}

}  // namespace galvatron
