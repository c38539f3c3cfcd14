#include "galvatron/profiles/format.h"

#include <algorithm>

#include <fmt/format.h>

#include "galvatron/base/error.h"

namespace galvatron::profiles {

void require_format(JsonReader& reader, const std::string& tag) {
  const std::string format = reader.get_string("format");
  if (format != tag) {
    throw ConfigError("[profile] ", reader.source(), " has the format '", format, "'; '", tag,
                      "' is needed here");
  }
  const std::int64_t version = reader.get_int("version", 1, 1 << 20);
  if (version != 1) {
    throw ConfigError("[profile] ", reader.source(), " has version ", version,
                      "; this program reads version 1");
  }
}

const Json& get_list(JsonReader& reader, const std::string& key) {
  const Json& list = reader.get_array(key);
  if (list.size() > kMaxEntries) {
    throw ConfigError("[profile] ", reader.source(), ": '", key, "' has ", list.size(),
                      " entries, more than ", kMaxEntries);
  }
  return list;
}

void require_plausible_times(std::vector<CurvePoint> points, const std::string& source,
                             const std::string& sizes) {
  constexpr double kMostRatio = 10;
  std::sort(points.begin(), points.end(),
            [](const CurvePoint& a, const CurvePoint& b) { return a.x > b.x; });
  const CurvePoint* least = nullptr;
  for (const CurvePoint& point : points) {
    if (!(point.y > 0)) {
      throw ConfigError("[profile] ", source, ": 0 ms for ", fmt::format("{:g}", point.x), " ",
                        sizes,
                        "; nothing takes no time: take it out of the file, or measure again");
    }
    if (least && point.y > kMostRatio * least->y) {
      throw ConfigError("[profile] ", source, ": ", fmt::format("{:g}", point.x), " ", sizes,
                        " took ", point.y, " ms, and ", fmt::format("{:g}", least->x), " only ",
                        least->y,
                        "; the measurement was disturbed: take the first out of the "
                        "file, or measure again");
    }
    if (!least || point.y < least->y) least = &point;
  }
}

std::string entry_source(const JsonReader& reader, const std::string& key, std::size_t index) {
  return fmt::format("{}: {}[{}]", reader.source(), key, index);
}

}  // namespace galvatron::profiles
