#include "galvatron/base/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "galvatron/base/error.h"

namespace galvatron {
namespace {

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

// Bytes a second of "GB/s", "Gb/s", "Gbps", "GiB/s"; 0: none of these. Here letters tell bits from
// bytes, so their case counts.
double rate_size(std::string_view unit) {
  const std::string_view prefixes = "KMGT";
  if (unit.empty()) return 0;
  const char first = unit.front() == 'k' ? 'K' : unit.front();
  const auto power = prefixes.find(first);
  const double exponent = power == std::string_view::npos ? 0 : static_cast<double>(power) + 1;
  const std::string_view rest = exponent > 0 ? unit.substr(1) : unit;
  if (rest == "B/s" || rest == "Bps") return std::pow(1000.0, exponent);
  if (rest == "b/s" || rest == "bps" || rest == "bit/s") return std::pow(1000.0, exponent) / 8;
  if (rest == "iB/s" && exponent > 0) return std::pow(1024.0, exponent);
  return 0;
}

struct NumberAndUnit {
  double number = 0;  // NaN: there is none
  std::string_view unit;
};

NumberAndUnit split_unit(std::string_view text) {
  NumberAndUnit out;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out.number);
  if (error != std::errc()) out.number = std::nan("");
  out.unit = text.substr(static_cast<std::size_t>(end - text.data()));
  while (!out.unit.empty() && out.unit.front() == ' ') out.unit.remove_prefix(1);
  return out;
}

std::string three_digits(double value) {
  if (value < 9.995) return fmt::format("{:.2f}", value);
  if (value < 99.95) return fmt::format("{:.1f}", value);
  return fmt::format("{:.0f}", value);
}

}  // namespace

Bytes whole_bytes(double value) { return {static_cast<std::int64_t>(std::llround(value))}; }

Bytes parse_bytes(std::string_view text, std::string_view what) {
  const auto [number, unit] = split_unit(text);
  const double size = number * unit_size(lower_case(unit));
  if (!(size > 0) || size > 9e18) {
    throw ConfigError("[", what, "] '", text,
                      "' is not a size; write a number with a unit, such as 16GiB, 80GB or 512MiB");
  }
  return {static_cast<std::int64_t>(std::llround(size))};
}

double parse_amount(std::string_view text, std::string_view what) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit = lower_case(text.substr(static_cast<std::size_t>(end - text.data())));
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

Bandwidth parse_bandwidth(std::string_view text, std::string_view what) {
  const auto [number, unit] = split_unit(text);
  const double per_second = number * rate_size(unit);
  if (!(per_second > 0) || per_second > 1e18) {
    throw ConfigError("[", what, "] '", text,
                      "' is not a bandwidth; write bytes (25GB/s) or bits (200Gb/s) a second");
  }
  return {per_second / 1000};
}

std::string count_text(std::int64_t count, std::string_view what) {
  const char* ending = what.ends_with("ch") ? "es" : "s";
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : ending);
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
  if (ms == 0) return "0 s";
  const std::string sign = time.value < 0 ? "-" : "";
  if (ms >= 60e3 * 60)
    return sign + fmt::format("{}h {:02}m", static_cast<int>(ms / 3.6e6),
                              static_cast<int>(ms / 60e3) % 60);
  if (ms >= 999.5) return sign + three_digits(ms / 1e3) + " s";
  if (ms >= 0.9995) return sign + three_digits(ms) + " ms";
  return sign + three_digits(ms * 1e3) + " us";
}

std::string to_text(Bandwidth bandwidth) {
  constexpr std::array<const char*, 5> kUnits = {"B/s", "KB/s", "MB/s", "GB/s", "TB/s"};
  double value = bandwidth.bytes_per_ms * 1000;
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) value /= 1000, ++unit;
  return three_digits(value) + " " + kUnits[unit];
}

std::string exact_text(Bytes bytes) {
  for (const auto& [unit, size] :
       {std::pair("GiB", gibibytes(1)), std::pair("MiB", mebibytes(1))}) {
    if (bytes.value % size.value == 0) return fmt::format("{}{}", bytes.value / size.value, unit);
  }
  return fmt::format("{}", bytes.value);
}

std::string rounded_up_text(Bytes bytes) {
  constexpr std::int64_t kHundredths = 100;
  const auto steps_up = [&](std::int64_t step) { return (bytes.value + step - 1) / step; };
  if (bytes < mebibytes(1)) return fmt::format("{}KiB", steps_up(kibibytes(1).value));
  if (bytes < gibibytes(1)) return fmt::format("{}MiB", steps_up(mebibytes(1).value));
  // A hundredth of a GiB is no whole number of bytes.
  const std::int64_t whole = bytes.value / gibibytes(1).value;
  const std::int64_t rest = bytes.value % gibibytes(1).value;
  const std::int64_t hundredths =
      (rest * kHundredths + gibibytes(1).value - 1) / gibibytes(1).value;
  return fmt::format("{}GiB", static_cast<double>(whole * kHundredths + hundredths) / kHundredths);
}

std::string exact_text(Bandwidth bandwidth) {
  return fmt::format("{}GB/s", bandwidth.bytes_per_ms / 1e6);
}

}  // namespace galvatron
