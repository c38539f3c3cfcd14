// The measured timeline of a run: what its trace says, by rank.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "galvatron/views/event_table.h"
#include "galvatron/views/run_view.h"

namespace galvatron::views {
namespace {

constexpr std::size_t kMostTracedEvents = 20'000;
constexpr const char* kCommunication = "communication";

std::vector<std::string> kinds_of(const std::vector<TracedEvent>& events) {
  std::vector<std::string> out = {"forward", "backward", kCommunication, "optimizer"};
  std::set<std::string> others;
  for (const TracedEvent& event : events) {
    if (std::find(out.begin(), out.end(), event.category) == out.end())
      others.insert(event.category);
  }
  out.insert(out.end(), others.begin(), others.end());
  return out;
}

bool computes(const TracedEvent& event) { return event.category != kCommunication; }

class TracedRows {
 public:
  explicit TracedRows(const Run& run) {
    for (const TracedEvent& event : *run.events) rows_[{event.rank, !computes(event)}] = 0;
    int next = 0;
    for (auto& [key, row] : rows_) row = next++;
    if (!run.summary) return;
    for (const RunRank& rank : run.summary->ranks) stage_of_[rank.rank] = rank.stage;
  }

  int of(const TracedEvent& event) const { return rows_.at({event.rank, !computes(event)}); }

  OrderedJson view() const {
    OrderedJson out = OrderedJson::array();
    for (const auto& [key, row] : rows_) {
      const auto [rank, communicates] = key;
      const auto stage = stage_of_.find(rank);
      const std::string where =
          stage == stage_of_.end() ? "" : fmt::format(" (stage {})", stage->second);
      out.push_back(
          {{"name", fmt::format("rank {}{}{}", rank, where, communicates ? " communicates" : "")},
           {"pp_rank", stage == stage_of_.end() ? 0 : stage->second},
           {"lane", communicates ? "collectives" : "compute"}});
    }
    return out;
  }

 private:
  std::map<std::pair<int, bool>, int> rows_;
  std::map<int, int> stage_of_;  // by rank
};

std::map<int, BusyTimes> busy_times(std::vector<TracedEvent> events) {
  std::stable_sort(events.begin(), events.end(),
                   [](const auto& a, const auto& b) { return a.start < b.start; });
  std::map<int, BusyTimes> out;
  for (const TracedEvent& event : events) {
    BusyTimes& rank = out[event.rank];
    if (computes(event)) rank.add(event.start, event.end);
  }
  return out;
}

}  // namespace

OrderedJson traced_timeline_view(const Run& run) {
  if (!run.events || run.events->empty()) return nullptr;
  const std::vector<TracedEvent>& events = *run.events;
  const std::vector<std::string> kinds = kinds_of(events);
  const TracedRows rows(run);
  const std::map<int, BusyTimes> busy = busy_times(events);
  Milliseconds total;
  for (const TracedEvent& event : events) total = std::max(total, event.end);
  std::vector<PictureEvent> drawn;
  for (const TracedEvent& event : events) {
    const auto kind = std::find(kinds.begin(), kinds.end(), event.category) - kinds.begin();
    PictureEvent one{rows.of(event), static_cast<int>(kind), event.start, event.end,
                     event.microbatch};
    if (!computes(event)) one.hidden = busy.at(event.rank).within(event.start, event.end);
    drawn.push_back(one);
  }
  OrderedJson busy_ms = OrderedJson::array();
  double sum = 0;
  for (const auto& [rank, times] : busy) {
    const double of_rank = times.within({}, total).value;
    busy_ms.push_back(of_rank);
    sum += of_rank;
  }
  const double available = total.value * static_cast<double>(busy.size());
  OrderedJson out = {{"total_ms", total.value},
                     {"bubble_fraction", available > 0 ? 1 - sum / available : 0},
                     {"busy_ms", std::move(busy_ms)},
                     {"kinds", kinds},
                     {"rows", rows.view()}};
  out.update(event_columns(std::move(drawn), kMostTracedEvents, events.size()));
  return out;
}

}  // namespace galvatron::views
