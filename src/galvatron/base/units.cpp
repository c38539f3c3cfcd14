#include "galvatron/base/units.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "galvatron/base/error.h"

namespace galvatron {
namespace {

std::string lower(std::string_view text) {
  std::string out;
  for (char c : text) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

double unit_size(const std::string& unit) {
  if (unit.empty() || unit == "b") return 1;
  const std::string_view prefixes = "kmgt";
  const auto power = prefixes.find(unit[0]);
  if (power == std::string_view::npos) return 0;
  const std::string rest = unit.substr(1);
  const double exponent = static_cast<double>(power) + 1;
  if (rest == "b") return std::pow(1000.0, exponent);
  if (rest.empty() || rest == "ib") return std::pow(1024.0, exponent);
  return 0;
}

std::string three_digits(double value) {
  if (value < 9.995) return fmt::format("{:.2f}", value);
  if (value < 99.95) return fmt::format("{:.1f}", value);
  return fmt::format("{:.0f}", value);
}

}  // namespace

Bytes whole_bytes(double value) { return {static_cast<std::int64_t>(std::llround(value))}; }

Bytes parse_bytes(std::string_view text, std::string_view what) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string unit = lower(text.substr(static_cast<std::size_t>(end - text.data())));
  while (!unit.empty() && unit.front() == ' ') unit.erase(unit.begin());
  const double size = error == std::errc() ? number * unit_size(unit) : 0;
  if (!(size > 0) || size > 9e18) {
    throw ConfigError("[", what, "] '", text,
                      "' is not a size; write a number with a unit, such as 16GiB, 80GB or 512MiB");
  }
  return {static_cast<std::int64_t>(std::llround(size))};
}

double parse_amount(std::string_view text, std::string_view what) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit = lower(text.substr(static_cast<std::size_t>(end - text.data())));
  const std::string_view units = "kmbt";
  const auto power = unit.empty() ? 0 : units.find(unit) + 1;
  const double amount = number * std::pow(1000.0, static_cast<double>(power));
  const bool is_known = unit.size() == (power > 0 ? 1 : 0);
  if (error != std::errc() || !is_known || !(amount >= 1 && amount <= 1e18)) {
    throw ConfigError(what, " needs an amount such as 300B, 1.5T or 1000000, not '", text, "'");
  }
  return amount;
}

std::string amount_text(double amount) {
  constexpr std::array<const char*, 5> kUnits = {"", " K", " M", " B", " T"};
  std::size_t unit = 0;
  while (amount >= 999.5 && unit + 1 < kUnits.size()) amount /= 1000, ++unit;
  return (unit == 0 ? fmt::format("{:g}", amount) : three_digits(amount)) + kUnits[unit];
}

std::string to_text(Bytes bytes) {
  constexpr std::array<const char*, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes.value);
  std::size_t unit = 0;
  while (std::abs(value) >= 1023.5 && unit + 1 < kUnits.size()) value /= 1024, ++unit;
  if (unit == 0) return fmt::format("{} B", bytes.value);
  return (value < 0 ? "-" : "") + three_digits(std::abs(value)) + " " + kUnits[unit];
}

std::string to_text(Milliseconds time) {
  const double ms = std::abs(time.value);
  const std::string sign = time.value < 0 ? "-" : "";
  if (ms >= 60e3 * 60)
    return sign + fmt::format("{}h {:02}m", static_cast<int>(ms / 3.6e6),
                              static_cast<int>(ms / 60e3) % 60);
  if (ms >= 999.5) return sign + three_digits(ms / 1e3) + " s";
  if (ms >= 0.9995) return sign + three_digits(ms) + " ms";
  return sign + three_digits(ms * 1e3) + " us";
}

}  // namespace galvatron
