#include "galvatron/galvatron2/files.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

namespace galvatron::galvatron2 {
namespace {

constexpr double kLargest = 1e12;  // ms, MB or MB/ms: anything beyond is a broken file

// Reads an integer at `text`; nullptr when there is none. Returns what follows it.
const char* read_number(const char* text, int& out) {
  char* end = nullptr;
  const long number = std::strtol(text, &end, 10);
  if (end == text || *text < '0' || *text > '9' || number > 1 << 28) return nullptr;
  out = static_cast<int>(number);
  return end;
}

}  // namespace

double positive(const Json& value, const std::string& file, const std::string& key, double least) {
  if (!value.is_number()) {
    fail_profile(file, "key '" + key + "' must be a number, not " + value.dump().substr(0, 80));
  }
  const double number = value.get<double>();
  if (!std::isfinite(number) || number < least || number > kLargest) {
    fail_profile(
        file, fmt::format("key '{}' is {}, outside {} .. {}", key, value.dump(), least, kLargest));
  }
  return number;
}

bool read_key(const std::string& key, const std::string& before, const std::string& after,
              int& number) {
  if (key.rfind(before, 0) != 0) return false;
  const char* rest = read_number(key.c_str() + before.size(), number);
  return rest && after == rest;
}

bool read_key(const std::string& key, const std::string& before, const std::string& middle,
              const std::string& after, int& first, int& second) {
  if (key.rfind(before, 0) != 0) return false;
  const char* rest = read_number(key.c_str() + before.size(), first);
  if (!rest || std::string(rest).rfind(middle, 0) != 0) return false;
  rest = read_number(rest + middle.size(), second);
  return rest && after == rest;
}

std::vector<double> fit_polynomial(const std::vector<FitPoint>& points, int degree) {
  const int n = degree + 1;
  double scale = 0;  // of x, so that the normal equations stay well conditioned
  for (const FitPoint& point : points) scale = std::max(scale, std::abs(point.x));
  std::vector<std::vector<long double>> rows(
      static_cast<std::size_t>(n), std::vector<long double>(static_cast<std::size_t>(n) + 1));
  for (const FitPoint& point : points) {
    const long double x = point.x / scale;
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) rows[i][j] += std::pow(x, i + j);
      rows[i][n] += std::pow(x, i) * point.y;
    }
  }
  for (int i = 0; i < n; ++i) {
    int pivot = i;
    for (int k = i + 1; k < n; ++k) {
      if (std::abs(rows[k][i]) > std::abs(rows[pivot][i])) pivot = k;
    }
    std::swap(rows[i], rows[pivot]);
    for (int k = 0; k < n; ++k) {
      if (k == i) continue;
      const long double factor = rows[k][i] / rows[i][i];
      for (int j = i; j <= n; ++j) rows[k][j] -= factor * rows[i][j];
    }
  }
  std::vector<double> out;
  for (int i = 0; i < n; ++i) {
    out.push_back(static_cast<double>(rows[i][n] / rows[i][i] / std::pow(scale, i)));
  }
  return out;
}

std::optional<Json> read_if_there(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  Json json = read_json_file(path);
  if (!json.is_object()) fail_profile(path.string(), "must be a JSON object");
  return json;
}

Json read_required(const std::filesystem::path& path) {
  auto json = read_if_there(path);
  if (!json) throw ConfigError("[galvatron2 profile] ", path.string(), " is missing");
  return *json;
}

Table read_degrees(const Json& json, const std::string& file, const std::string& before,
                   const std::string& after) {
  Table table{file, before, after, {}};
  for (const auto& [key, value] : json.items()) {
    int degree = 0;
    if (!read_key(key, before, after, degree)) continue;
    if (degree < 1 || degree > kLargestDegree)
      fail_profile(file, "key '" + key + "' names no degree");
    table.values[degree] = positive(value, file, key);
  }
  return table;
}

}  // namespace galvatron::galvatron2
