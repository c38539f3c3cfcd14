// What the profile files have in common: the tag and version at their head, limits of their
// numbers.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/profiles/curve.h"

namespace galvatron::profiles {

inline constexpr double kMaxMilliseconds = 1e9;  // eleven days
inline constexpr std::int64_t kMaxBytes = std::int64_t{1} << 53;
inline constexpr std::int64_t kMaxRanks = 1 << 20;
inline constexpr std::size_t kMaxEntries = 100'000;  // of one array

// ConfigError unless "format" is `tag` and "version" is 1.
void require_format(JsonReader& reader, const std::string& tag);

// The array under `key`, refused when it is longer than kMaxEntries.
const Json& get_list(JsonReader& reader, const std::string& key);

// Times over sizes as a file has them. ConfigError where one is 0, or more than ten times that of
// something larger: neither is a measurement, and a curve would carry it to all larger sizes.
// `sizes`: "bytes".
void require_plausible_times(std::vector<CurvePoint> points, const std::string& source,
                             const std::string& sizes);

// "profile.json: collectives[3]"
std::string entry_source(const JsonReader& reader, const std::string& key, std::size_t index);

}  // namespace galvatron::profiles
