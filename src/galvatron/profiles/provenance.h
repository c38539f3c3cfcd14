// Where a profile comes from: recorded with the numbers, shown in reports, never used in
// arithmetic.
#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "galvatron/base/json.h"

namespace galvatron::profiles {

struct Provenance {
  std::string host;                             // "" for numbers that no machine measured
  std::string date;                             // ISO 8601, UTC
  std::map<std::string, std::string> versions;  // {"galvatron": "0.1.0", "torch": "2.11.0"}
  std::int64_t seed = 0;
  std::string note;  // "measured", or the data sheet that the numbers come from
  bool operator==(const Provenance&) const = default;
};

OrderedJson provenance_to_json(const Provenance& provenance);
// Takes the object under the key "provenance"; a profile without one is refused.
Provenance read_provenance(JsonReader& profile);

}  // namespace galvatron::profiles
