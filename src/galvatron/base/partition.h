// Balanced division of a range into parts. The one rule behind every split of ours: vocabulary,
// heads, sequence, batch, microbatches, layers. Sizes differ by at most one, and parts nest: the
// union of parts i*k .. i*k+k-1 of n*k parts is part i of n parts.
#pragma once
#include <cstdint>
#include <vector>

namespace galvatron {

struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
  bool empty() const { return end <= begin; }
  bool operator==(const Range&) const = default;
};

// REQUIRES: parts > 0, 0 <= index < parts.
constexpr Range chunk(std::int64_t count, std::int64_t parts, std::int64_t index) {
  return {count * index / parts, count * (index + 1) / parts};
}

// Size of the largest part.
constexpr std::int64_t largest_chunk(std::int64_t count, std::int64_t parts) {
  return (count + parts - 1) / parts;
}

constexpr Range intersect(Range a, Range b) {
  const std::int64_t begin = a.begin > b.begin ? a.begin : b.begin;
  const std::int64_t end = a.end < b.end ? a.end : b.end;
  return {begin, end > begin ? end : begin};
}

constexpr std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// All divisors, ascending. REQUIRES: value > 0.
std::vector<std::int64_t> divisors(std::int64_t value);

}  // namespace galvatron
