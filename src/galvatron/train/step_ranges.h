// Steps of a run that a user names: "10..12,20".
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "galvatron/base/partition.h"

namespace galvatron::train {

// Steps, counted from 1, as ranges that include their begin and leave out their end; ascending,
// and none twice.
class StepRanges {
 public:
  StepRanges() = default;  // none
  // Numbers, and ranges with both ends, between commas. ConfigError that begins with `shown` for
  // anything else, and for more than kMost steps.
  static StepRanges parse(const std::string& text, const std::string& shown);
  static constexpr std::int64_t kMost = 1000;

  bool empty() const { return ranges_.empty(); }
  bool contains(std::int64_t step) const;
  // REQUIRES: !empty().
  std::int64_t last() const { return ranges_.back().end - 1; }
  std::string text() const;  // "10..12,20"; "" for none
  bool operator==(const StepRanges&) const = default;

 private:
  std::vector<Range> ranges_;
};

}  // namespace galvatron::train
