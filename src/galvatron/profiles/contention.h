// How much ranks of one machine slow each other down when they compute at the same time.
#pragma once
#include <string>
#include <vector>

#include "galvatron/base/json.h"

namespace galvatron::profiles {

struct ContentionPoint {
  double ranks = 1;  // local ranks that compute at once
  double slowdown =
      1;  // of each one's compute against computing alone with the same number of threads
  bool operator==(const ContentionPoint&) const = default;
};
using Contention = std::vector<ContentionPoint>;  // ascending ranks; empty: none

// Interpolated; beyond the last point in proportion.
double slowdown_of(const Contention& contention, double ranks);

// A list "key": [{"ranks", "slowdown"}] of an object, empty where it is left out. ConfigError for
// ranks that do not ascend.
Contention read_contention(JsonReader& object, const std::string& key);
OrderedJson contention_to_json(const Contention& contention);

}  // namespace galvatron::profiles
