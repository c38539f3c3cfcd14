#include "galvatron/train/timeline.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/train/gather.h"

namespace galvatron::train {
namespace {

constexpr double kMicroseconds = 1e6;  // per second

std::string events_text(const runtime::Trace& trace) {
  Json events = Json::array();
  for (const runtime::TraceEvent& event : trace.events()) {
    events.push_back({event.name, event.category, event.start, event.end, event.step, event.part});
  }
  return events.dump();
}

OrderedJson thread_name(int rank, const plan::Plan& plan) {
  const auto stages = plan.pipeline.stages_of_rank(plan.pp_rank_of(rank));
  return {{"name", "thread_name"},
          {"ph", "M"},
          {"pid", 0},
          {"tid", rank},
          {"args",
           {{"name", fmt::format("rank {} (stage{} {})", rank, stages.size() > 1 ? "s" : "",
                                 fmt::join(stages, ", "))}}}};
}

}  // namespace

OrderedJson gather_timeline(comm::World& world, const runtime::Trace& trace,
                            const plan::Plan& plan) {
  std::vector<Json> ranks;
  double origin = std::numeric_limits<double>::infinity();
  for (const std::string& text : gather_texts(world, events_text(trace))) {
    ranks.push_back(parse_json(text, "timeline"));
    for (const Json& event : ranks.back()) origin = std::min(origin, event[2].get<double>());
  }
  OrderedJson events = OrderedJson::array();
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    events.push_back(thread_name(static_cast<int>(rank), plan));
    for (const Json& event : ranks[rank]) {
      const double start = event[2].get<double>(), end = event[3].get<double>();
      events.push_back({{"name", event[0].get<std::string>()},
                        {"cat", event[1].get<std::string>()},
                        {"ph", "X"},
                        {"ts", (start - origin) * kMicroseconds},
                        {"dur", (end - start) * kMicroseconds},
                        {"pid", 0},
                        {"tid", rank},
                        {"args", {{"step", event[4].get<std::int64_t>()}}}});
      const auto part = event[5].get<std::string>();
      if (!part.empty()) events.back()["args"]["part"] = part;
    }
  }
  return {{"displayTimeUnit", "ms"}, {"traceEvents", events}};
}

}  // namespace galvatron::train
