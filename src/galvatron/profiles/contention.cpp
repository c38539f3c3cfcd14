#include "galvatron/profiles/contention.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/profiles/format.h"

namespace galvatron::profiles {
namespace {

constexpr double kMaxSlowdown = 1e6;

}  // namespace

double slowdown_of(const Contention& contention, double ranks) {
  if (contention.empty() || ranks <= contention.front().ranks) {
    return contention.empty() ? 1 : contention.front().slowdown;
  }
  const ContentionPoint& last = contention.back();
  if (ranks >= last.ranks) return last.slowdown * std::max(1.0, ranks / last.ranks);
  const auto right = std::upper_bound(
      contention.begin(), contention.end(), ranks,
      [](double value, const ContentionPoint& point) { return value < point.ranks; });
  const ContentionPoint& left = *(right - 1);
  return left.slowdown +
         (right->slowdown - left.slowdown) * (ranks - left.ranks) / (right->ranks - left.ranks);
}

Contention read_contention(JsonReader& object, const std::string& key) {
  Contention points;
  if (!object.has(key)) return object.ignore(key), points;
  const Json& list = get_list(object, key);
  for (std::size_t i = 0; i < list.size(); ++i) {
    JsonReader reader(list[i], entry_source(object, key, i));
    ContentionPoint point;
    point.ranks = reader.get_number("ranks", 1, kMaxRanks);
    point.slowdown = reader.get_number("slowdown", 1e-3, kMaxSlowdown);
    reader.finish();
    if (!points.empty() && point.ranks <= points.back().ranks) {
      throw ConfigError("[profile] ", reader.source(), ": ranks ", point.ranks,
                        " must be more than the entry before it");
    }
    points.push_back(point);
  }
  return points;
}

OrderedJson contention_to_json(const Contention& contention) {
  OrderedJson out = OrderedJson::array();
  for (const ContentionPoint& point : contention)
    out.push_back({{"ranks", point.ranks}, {"slowdown", point.slowdown}});
  return out;
}

}  // namespace galvatron::profiles
