// JSON that says something else than it did.
#pragma once
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "galvatron/base/json.h"

namespace galvatron::train {

using Random = std::mt19937_64;

inline std::size_t pick(Random& random, std::size_t count) { return random() % count; }

inline const std::vector<Json>& odd_values() {
  static const std::vector<Json> all = {nullptr,
                                        true,
                                        -1,
                                        0,
                                        1,
                                        2.5,
                                        1e308,
                                        std::int64_t{1} << 62,
                                        std::numeric_limits<std::int64_t>::max(),
                                        std::numeric_limits<std::int64_t>::min(),
                                        std::numeric_limits<std::uint64_t>::max(),
                                        "",
                                        "F64",
                                        "I8",
                                        "../latest",
                                        "/etc/passwd",
                                        ".",
                                        "weights/block.0.norm.weight[0:99999999999999999999]",
                                        "weights/block.0.norm.weight[3:1]",
                                        "weights/block.0.norm.weight[-3:1]",
                                        Json::array(),
                                        Json::object(),
                                        Json::array({0, 0}),
                                        Json::array({std::int64_t{1} << 47, std::int64_t{1} << 47}),
                                        Json::array({5, 1})};
  return all;
}

// Every value in a tree of JSON, as pointers.
inline void collect_places(const Json& value, const Json::json_pointer& here,
                           std::vector<Json::json_pointer>& out) {
  out.push_back(here);
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) collect_places(inner, here / key, out);
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) collect_places(value[i], here / i, out);
  }
}

// One value becomes an odd one, goes, gets another name, or that of a neighbour.
inline Json with_a_lie(const Json& original, Random& random) {
  std::vector<Json::json_pointer> places;
  collect_places(original, Json::json_pointer(), places);
  Json out = original;
  const Json::json_pointer place = places[pick(random, places.size())];
  const std::size_t kind = pick(random, 4);
  if (kind == 0 || place.empty()) {
    out[place] = odd_values()[pick(random, odd_values().size())];
    return out;
  }
  if (kind == 3) {
    out[place] = original[places[pick(random, places.size())]];
    return out;
  }
  Json& parent = out[place.parent_pointer()];
  if (parent.is_array()) {
    if (kind == 1) parent.erase(std::stoul(place.back()));
    if (kind == 2) parent.push_back(original[place]);
    return out;
  }
  const Json value = parent[place.back()];
  parent.erase(place.back());
  if (kind == 2) {
    std::string name = place.back();
    if (!name.empty()) name[pick(random, name.size())] = "[]:,019/.\x7f"[pick(random, 10)];
    parent[name] = value;
  }
  return out;
}

}  // namespace galvatron::train
