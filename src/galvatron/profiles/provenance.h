// Where a profile comes from: recorded with the numbers, shown in reports, never used in
// arithmetic.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "galvatron/base/json.h"

namespace galvatron::profiles {

struct Provenance {
  std::string host;                             // "" for numbers that no machine measured
  std::string date;                             // ISO 8601, UTC
  std::map<std::string, std::string> versions;  // {"galvatron": "0.1.0", "torch": "2.11.0"}
  std::int64_t seed = 0;
  std::string note;  // "measured", or the data sheet that the numbers come from
  // How quiet the machine was; unset where nobody measured, or before it was recorded.
  int cores = 0;  // that the process may run on; 0: unknown
  std::optional<double> other_load =
      {};  // cores that other programs kept busy meanwhile, on average
  // Half the distance between the quartiles of a number's measurements over their median: the
  // median of that over all numbers.
  std::optional<double> spread = {};
  // What the profiler's reference load (profiler/reference_load.h) took on one rank alone: the
  // speed of the machine for which the numbers hold.
  std::optional<double> reference_ms = {};
  bool operator==(const Provenance&) const = default;
};

OrderedJson provenance_to_json(const Provenance& provenance);
// Whether other programs may have disturbed the measurement: they had a fifth of the cores, or the
// numbers did not agree with themselves.
bool is_unsteady(const Provenance& provenance);

using Now = std::chrono::sys_seconds;
Now current_time();

// By how many times the machine was slower for `other` than for `one`; 1 where nobody knows, or
// where they are of different hosts.
double relative_pace(const Provenance& one, const Provenance& other);

// Where numbers come from: "measured on host4, 2026-11-20 (8 days ago), other programs on 0.4 of 8
// cores, spread 1.2 %", of the last two what is known; "from the data sheet of 8xH100".
std::string source_text(const Provenance& provenance, Now now);

// Takes the object under the key "provenance"; a profile without one is refused.
Provenance read_provenance(JsonReader& profile);

}  // namespace galvatron::profiles
