// How a timeline is written down: names of events, and the Chrome trace.
#include <algorithm>

#include "galvatron/cost/timeline.h"

namespace galvatron::cost {
namespace {

const char* category(EventKind kind) {
  switch (kind) {
    case EventKind::kForward:
      return "forward";
    case EventKind::kBackward:
      return "backward";
    case EventKind::kWeightGradient:
      return "weight gradient";
    case EventKind::kTransfer:
      return "transfer";
    case EventKind::kGather:
      return "gather";
    case EventKind::kReduce:
      return "reduce";
    case EventKind::kTie:
      return "tie";
    case EventKind::kGradientSync:
      return "gradient sync";
    case EventKind::kUpdate:
      return "update";
    case EventKind::kParameterGather:
      return "gather";
  }
  return "";
}

OrderedJson thread_name(int thread, const std::string& name) {
  return {{"name", "thread_name"},
          {"ph", "M"},
          {"pid", 0},
          {"tid", thread},
          {"args", {{"name", name}}}};
}

}  // namespace

std::string to_text(const TimelineEvent& event) {
  const std::string chunk = event.chunk > 0 ? "." + std::to_string(event.chunk) : "";
  const std::string number = std::to_string(event.microbatch) + chunk;
  switch (event.kind) {
    case EventKind::kForward:
      return "F" + number;
    case EventKind::kBackward:
      return "B" + number;
    case EventKind::kWeightGradient:
      return "W" + number;
    case EventKind::kTransfer:
      return "transfer " + number;
    case EventKind::kGather:
      return "gather " + std::to_string(event.unit);
    case EventKind::kReduce:
      return "reduce " + std::to_string(event.unit);
    case EventKind::kTie:
      return "tie " + std::to_string(event.unit);
    case EventKind::kGradientSync:
      return "reduce gradients" + chunk;
    case EventKind::kUpdate:
      return "update" + chunk;
    case EventKind::kParameterGather:
      return "gather parameters" + chunk;
  }
  return "";
}

OrderedJson to_chrome_trace(const Timeline& timeline, const std::string& title) {
  const int num_ranks = static_cast<int>(timeline.busy.size());
  const bool interleaved = std::any_of(timeline.events.begin(), timeline.events.end(),
                                       [](const TimelineEvent& event) { return event.chunk > 0; });
  OrderedJson events = OrderedJson::array();
  events.push_back(
      {{"name", "process_name"}, {"ph", "M"}, {"pid", 0}, {"args", {{"name", title}}}});
  for (int rank = 0; rank < num_ranks; ++rank) {
    const std::string name = (interleaved ? "pipeline rank " : "stage ") + std::to_string(rank);
    events.push_back(thread_name(2 * rank, name));
    events.push_back(thread_name(2 * rank + 1, name + " receives"));
  }
  const auto on_lane = [](const TimelineEvent& event) {
    return event.kind == EventKind::kGather || event.kind == EventKind::kReduce;
  };
  if (std::any_of(timeline.events.begin(), timeline.events.end(), on_lane)) {
    for (int rank = 0; rank < num_ranks; ++rank) {
      const std::string name = (interleaved ? "pipeline rank " : "stage ") + std::to_string(rank);
      events.push_back(thread_name(2 * num_ranks + rank, name + " gathers and reduces"));
    }
  }
  constexpr double kMicrosecondsPerMs = 1000;
  for (const TimelineEvent& event : timeline.events) {
    const int rank = event.stage % num_ranks;
    const int thread = on_lane(event) ? 2 * num_ranks + rank
                                      : 2 * rank + (event.kind == EventKind::kTransfer ? 1 : 0);
    events.push_back({{"name", to_text(event)},
                      {"cat", category(event.kind)},
                      {"ph", "X"},
                      {"ts", event.start.value * kMicrosecondsPerMs},
                      {"dur", (event.end - event.start).value * kMicrosecondsPerMs},
                      {"pid", 0},
                      {"tid", thread}});
  }
  return {{"displayTimeUnit", "ms"}, {"traceEvents", events}};
}

}  // namespace galvatron::cost
