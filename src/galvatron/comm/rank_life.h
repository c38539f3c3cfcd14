// Signs of life: what each rank says about itself every second, and the verdict on ranks that show
// none.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "galvatron/comm/flight_recorder.h"
#include "galvatron/comm/limits.h"

namespace galvatron::comm {

// What a rank says of itself.
struct Beat {
  std::int64_t number = 0;  // one more each time
  std::string host;
  double idle = 0;  // seconds since its work last went on, or its process used a core
  std::int64_t step = 0;
  bool on_files = false;  // reads or writes files
  bool has_left = false;  // by itself, in peace
  std::string doing;      // FlightRecorder::Now
  // The collective for which its own thread waits, and its members; "" and none: it does not wait.
  std::string waits_for;
  std::vector<int> waits_on;

  bool waits() const { return !waits_for.empty(); }
};

Beat make_beat(const FlightRecorder::Now& now, const std::string& host, double idle,
               std::int64_t number);
std::string beat_to_text(const Beat& beat);
Beat beat_from_text(const std::string& text);

// A beat as another rank sees it.
struct SeenBeat {
  Beat beat;
  double silence = 0;  // seconds since it came
};

// One sentence about the rank for which the others should not wait any longer; nullopt: all is
// well. A rank is given up when no beat came for limits.step seconds; when its work stands still so
// long (limits.io on files) and it waits for nobody; or when all ranks wait so long for each other.
// `seen` is indexed by rank.
std::optional<std::string> judge(std::span<const SeenBeat> seen, const Limits& limits);

// "rank 3 on node-b".
std::string rank_on_host(int rank, const std::string& host);
// "in forward of layer 7, microbatch 2 of step 41".
std::string last_seen(const Beat& beat);

// How the verdicts of judge() are told apart from a rank's own words.
bool is_verdict(const std::string& sentence);

}  // namespace galvatron::comm
