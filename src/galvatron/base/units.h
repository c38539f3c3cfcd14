// Units as types, so that a mixed-up unit does not compile.
#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace galvatron {

struct Bytes {
  std::int64_t value = 0;
  auto operator<=>(const Bytes&) const = default;
  Bytes& operator+=(Bytes other) { return value += other.value, *this; }
  Bytes& operator-=(Bytes other) { return value -= other.value, *this; }
};
constexpr Bytes operator+(Bytes a, Bytes b) { return {a.value + b.value}; }
constexpr Bytes operator-(Bytes a, Bytes b) { return {a.value - b.value}; }
constexpr Bytes operator*(Bytes a, std::int64_t n) { return {a.value * n}; }
constexpr Bytes operator*(std::int64_t n, Bytes a) { return a * n; }
constexpr Bytes kibibytes(std::int64_t n) { return {n << 10}; }
constexpr Bytes mebibytes(std::int64_t n) { return {n << 20}; }
constexpr Bytes gibibytes(std::int64_t n) { return {n << 30}; }

struct Milliseconds {
  double value = 0;
  auto operator<=>(const Milliseconds&) const = default;
  Milliseconds& operator+=(Milliseconds other) { return value += other.value, *this; }
  Milliseconds& operator-=(Milliseconds other) { return value -= other.value, *this; }
};
constexpr Milliseconds operator+(Milliseconds a, Milliseconds b) { return {a.value + b.value}; }
constexpr Milliseconds operator-(Milliseconds a, Milliseconds b) { return {a.value - b.value}; }
constexpr Milliseconds operator*(Milliseconds a, double n) { return {a.value * n}; }
constexpr Milliseconds operator*(double n, Milliseconds a) { return a * n; }
constexpr double operator/(Milliseconds a, Milliseconds b) { return a.value / b.value; }

struct Bandwidth {
  double bytes_per_ms = 0;
  auto operator<=>(const Bandwidth&) const = default;
};
// 10^9 bytes a second.
constexpr Bandwidth gigabytes_per_second(double n) { return {n * 1e6}; }

// The nearest whole number of them.
Bytes whole_bytes(double value);

// "16GiB", "80GB" (10^9), "512 MiB", "1.5G" (binary, as nvidia-smi and Slurm mean it), "1048576".
// ConfigError otherwise; `what` names the option in the message.
Bytes parse_bytes(std::string_view text, std::string_view what);

// "1T", "15.6T", "300B" (10^9), "2.5M", "1000000": how many of something, at least one. ConfigError
// otherwise.
double parse_amount(std::string_view text, std::string_view what);

// "25GB/s" and "1.5TB/s" (bytes, 10^9 and 10^12), "100Gb/s" or "100Gbps" (bits), "16GiB/s".
// ConfigError otherwise: a small "gb" could mean either.
Bandwidth parse_bandwidth(std::string_view text, std::string_view what);

// "1.50 GiB", "312 MiB", "17 KiB", "12 B": three significant digits, binary units.
std::string to_text(Bytes bytes);

// "13.0 B", "124 M", "1.00 T", "128": three significant digits.
std::string amount_text(double amount);

// "1 stage", "3 stages", "2 microbatches": `what` in the singular.
std::string count_text(std::int64_t count, std::string_view what);

// "1.24 s", "312 ms", "85.0 us": three significant digits.
std::string to_text(Milliseconds time);

// "25.0 GB/s", "312 MB/s": three significant digits, decimal units.
std::string to_text(Bandwidth bandwidth);

// Short texts that are read back as the same value: "79GiB", "1000001"; "22GB/s".
std::string exact_text(Bytes bytes);
std::string exact_text(Bandwidth bandwidth);

// The least readable figure that is no less, which is read back as no less either: "29.74GiB",
// "613MiB".
std::string rounded_up_text(Bytes bytes);

}  // namespace galvatron
