#include "galvatron/comm/rank_life.h"

#include <algorithm>
#include <cmath>

#include "galvatron/base/error.h"
#include "galvatron/comm/backends/backend.h"

namespace galvatron::comm {
namespace {

constexpr const char* kNoLife = "shows no life for";
constexpr const char* kNobodyGoesOn = "no rank goes on for";

std::int64_t whole_seconds(double seconds) {
  return static_cast<std::int64_t>(std::floor(seconds));
}

double stillness(const SeenBeat& seen) { return seen.beat.idle + seen.silence; }

bool is_gone(const SeenBeat& seen, const Limits& limits) {
  return !seen.beat.has_left && seen.silence > limits.step;
}

bool is_stuck(const SeenBeat& seen, const Limits& limits) {
  if (seen.beat.has_left || seen.beat.waits()) return false;
  return stillness(seen) > (seen.beat.on_files ? limits.io : limits.step);
}

// The collective that most ranks wait in with `rank` among its members, and those ranks.
struct Waiting {
  std::string what;
  std::vector<int> members, ranks;
};

Waiting who_waits_for(int rank, std::span<const SeenBeat> seen) {
  Waiting best;
  for (const SeenBeat& first : seen) {
    const Beat& beat = first.beat;
    if (std::find(beat.waits_on.begin(), beat.waits_on.end(), rank) == beat.waits_on.end())
      continue;
    Waiting here{beat.waits_for, beat.waits_on, {}};
    for (std::size_t r = 0; r < seen.size(); ++r) {
      const bool alike =
          seen[r].beat.waits_for == here.what && seen[r].beat.waits_on == here.members;
      if (alike && static_cast<int>(r) != rank) here.ranks.push_back(static_cast<int>(r));
    }
    if (here.ranks.size() > best.ranks.size()) best = std::move(here);
  }
  return best;
}

std::string sentence_about(int rank, double seconds, std::span<const SeenBeat> seen) {
  const Beat& beat = seen[static_cast<std::size_t>(rank)].beat;
  std::string out = detail::concat(rank_on_host(rank, beat.host), " ", kNoLife, " ",
                                   whole_seconds(seconds), " s");
  const Waiting waiting = who_waits_for(rank, seen);
  if (!waiting.ranks.empty()) {
    out += detail::concat(" and did not come to ", waiting.what, " on ",
                          rank_set_name(waiting.members), ", where ", rank_set_name(waiting.ranks),
                          waiting.ranks.size() == 1 ? " waits" : " wait");
  }
  return out + "; it was last seen " + last_seen(beat);
}

std::optional<std::string> standstill(std::span<const SeenBeat> seen, const Limits& limits) {
  double shortest = INFINITY;
  std::string waits;
  constexpr int kTold = 4;
  int told = 0;
  for (std::size_t r = 0; r < seen.size(); ++r) {
    const Beat& beat = seen[r].beat;
    if (beat.has_left) continue;
    if (!beat.waits()) return std::nullopt;
    shortest = std::min(shortest, stillness(seen[r]));
    if (told++ < kTold)
      waits += detail::concat(told > 1 ? ", " : ": ", rank_on_host(static_cast<int>(r), beat.host),
                              " waits in ", beat.waits_for, " on ", rank_set_name(beat.waits_on));
  }
  if (told == 0 || !(shortest > limits.step)) return std::nullopt;
  return detail::concat(kNobodyGoesOn, " ", whole_seconds(shortest), " s", waits,
                        told > kTold ? ", ..." : "",
                        " (is the network between them up, and do they run the same plan?)");
}

}  // namespace

Beat make_beat(const FlightRecorder::Now& now, const std::string& host, double idle,
               std::int64_t number) {
  Beat beat{number, host, idle, now.step, now.on_files, false, now.doing, "", now.group};
  if (now.waits_for) beat.waits_for = describe(*now.waits_for);
  return beat;
}

std::string beat_to_text(const Beat& beat) {
  return OrderedJson{
      {"number", beat.number}, {"host", beat.host},           {"idle", beat.idle},
      {"step", beat.step},     {"on_files", beat.on_files},   {"has_left", beat.has_left},
      {"doing", beat.doing},   {"waits_for", beat.waits_for}, {"waits_on", beat.waits_on}}
      .dump();
}

Beat beat_from_text(const std::string& text) {
  const Json json = Json::parse(text);
  return {json.at("number").get<std::int64_t>(),
          json.at("host").get<std::string>(),
          json.at("idle").get<double>(),
          json.at("step").get<std::int64_t>(),
          json.at("on_files").get<bool>(),
          json.at("has_left").get<bool>(),
          json.at("doing").get<std::string>(),
          json.at("waits_for").get<std::string>(),
          json.at("waits_on").get<std::vector<int>>()};
}

std::optional<std::string> judge(std::span<const SeenBeat> seen, const Limits& limits) {
  for (std::size_t r = 0; r < seen.size(); ++r) {
    if (is_gone(seen[r], limits)) return sentence_about(static_cast<int>(r), seen[r].silence, seen);
  }
  for (std::size_t r = 0; r < seen.size(); ++r) {
    if (is_stuck(seen[r], limits))
      return sentence_about(static_cast<int>(r), stillness(seen[r]), seen);
  }
  return standstill(seen, limits);
}

std::string rank_on_host(int rank, const std::string& host) {
  return detail::concat("rank ", rank, host.empty() ? "" : " on ", host);
}

std::string last_seen(const Beat& beat) {
  std::string out;
  if (beat.waits()) {
    out = detail::concat("waiting in ", beat.waits_for, " on ", rank_set_name(beat.waits_on));
  } else if (beat.doing.empty()) {
    out = "before its first collective";
  } else {
    out = beat.doing.starts_with("after ") || beat.on_files ? beat.doing : "in " + beat.doing;
  }
  return beat.step > 0 ? detail::concat(out, " of step ", beat.step) : out;
}

bool is_verdict(const std::string& sentence) {
  return sentence.find(kNoLife) != std::string::npos ||
         sentence.find(kNobodyGoesOn) != std::string::npos;
}

}  // namespace galvatron::comm
