// Division of samples into training, validation and test parts by weights such as "969,30,1".
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "galvatron/base/enum_names.h"
#include "galvatron/base/partition.h"

namespace galvatron::data {

enum class SplitPart { kTrain = 0, kValid = 1, kTest = 2 };
constexpr EnumNames<3> names_of(SplitPart) {
  return {"part of the data", {"train", "valid", "test"}};
}
std::string to_text(SplitPart part);  // "train", "valid", "test"

using SplitWeights = std::array<double, 3>;  // finite, >= 0, not all 0

// "969,30,1", "0.9,0.1" or "1": missing weights are 0. ConfigError otherwise.
SplitWeights parse_split(std::string_view text);

// Contiguous ranges that cover [0, count), by Megatron's rule: each part's share is rounded to
// whole samples, half to even, and all borders after the first move by what the rounding left over.
// A part may be empty.
std::array<Range, 3> split_ranges(std::int64_t count, const SplitWeights& weights);

}  // namespace galvatron::data
