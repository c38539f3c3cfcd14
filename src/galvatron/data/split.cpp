#include "galvatron/data/split.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "galvatron/base/error.h"

namespace galvatron::data {
namespace {

[[noreturn]] void refuse(std::string_view text) {
  throw ConfigError("[split] '", text,
                    "' is no split; write up to three weights for training, validation and test, ",
                    "such as 969,30,1, not all zero");
}

double parse_weight(const std::string& word, std::string_view text) {
  char* end = nullptr;
  const double weight = std::strtod(word.c_str(), &end);
  if (word.empty() || *end != '\0' || !std::isfinite(weight) || weight < 0) refuse(text);
  return weight;
}

}  // namespace

std::string to_text(SplitPart part) { return enum_text(part); }

SplitWeights parse_split(std::string_view text) {
  SplitWeights weights = {};
  std::size_t begin = 0;
  for (std::size_t part = 0;; ++part) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    if (part == weights.size()) refuse(text);
    weights[part] = parse_weight(std::string(text.substr(begin, comma - begin)), text);
    if (comma == text.size()) break;
    begin = comma + 1;
  }
  const double sum = weights[0] + weights[1] + weights[2];
  if (!(sum > 0) || !std::isfinite(sum)) refuse(text);
  return weights;
}

std::array<Range, 3> split_ranges(std::int64_t count, const SplitWeights& weights) {
  const double sum = weights[0] + weights[1] + weights[2];
  GALV_CHECK(count >= 0 && sum > 0, "count ", count, ", weights ", sum);
  std::array<std::int64_t, 4> borders = {};
  for (std::size_t part = 0; part < 3; ++part) {
    const double share = weights[part] / sum * static_cast<double>(count);
    borders[part + 1] = borders[part] + static_cast<std::int64_t>(std::nearbyint(share));
  }
  const std::int64_t excess = borders[3] - count;
  for (std::size_t part = 1; part < 4; ++part) {
    borders[part] = std::clamp(borders[part] - excess, borders[part - 1], count);
  }
  return {Range{borders[0], borders[1]}, Range{borders[1], borders[2]},
          Range{borders[2], borders[3]}};
}

}  // namespace galvatron::data
