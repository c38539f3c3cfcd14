#include "galvatron/views/timeline_view.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "galvatron/views/event_table.h"

namespace galvatron::views {
namespace {

using cost::EventKind;
using cost::TimelineEvent;

enum class Drawn {
  kForward,
  kBackward,
  kRecompute,
  kWeightGradient,
  kTransfer,
  kGather,
  kReduce,
  kTie,
  kGradientSync,
  kUpdate,
  kParameterGather,
  kBubble
};
constexpr EnumNames<12> names_of(Drawn) {
  return {"event",
          {"forward", "backward", "recompute", "weight gradient", "transfer", "gather", "reduce",
           "tie", "gradient sync", "update", "parameter gather", "bubble"}};
}

enum class RowLane { kCompute, kReceive, kCollectives };
constexpr EnumNames<3> names_of(RowLane) { return {"lane", {"compute", "receive", "collectives"}}; }

Drawn drawn_as(EventKind kind) {
  switch (kind) {
    case EventKind::kForward:
      return Drawn::kForward;
    case EventKind::kBackward:
      return Drawn::kBackward;
    case EventKind::kWeightGradient:
      return Drawn::kWeightGradient;
    case EventKind::kTransfer:
      return Drawn::kTransfer;
    case EventKind::kGather:
      return Drawn::kGather;
    case EventKind::kReduce:
      return Drawn::kReduce;
    case EventKind::kTie:
      return Drawn::kTie;
    case EventKind::kGradientSync:
      return Drawn::kGradientSync;
    case EventKind::kUpdate:
      return Drawn::kUpdate;
    case EventKind::kParameterGather:
      return Drawn::kParameterGather;
  }
  return Drawn::kBubble;
}

RowLane lane_of(EventKind kind) {
  if (kind == EventKind::kTransfer) return RowLane::kReceive;
  const bool beside = kind == EventKind::kGather || kind == EventKind::kReduce;
  return beside ? RowLane::kCollectives : RowLane::kCompute;
}

// A row for each lane of a rank on which something lies.
class Rows {
 public:
  explicit Rows(const cost::Timeline& timeline)
      : num_ranks_(static_cast<int>(timeline.busy.size())) {
    for (int rank = 0; rank < num_ranks_; ++rank) rows_[{rank, RowLane::kCompute}] = 0;
    for (const TimelineEvent& event : timeline.events) rows_[key(event)] = 0;
    int next = 0;
    for (auto& [key, row] : rows_) row = next++;
  }

  int rank_of(const TimelineEvent& event) const { return event.stage % num_ranks_; }
  int of(const TimelineEvent& event) const { return rows_.at(key(event)); }
  int computing(int rank) const { return rows_.at({rank, RowLane::kCompute}); }

  OrderedJson view() const {
    OrderedJson out = OrderedJson::array();
    for (const auto& [key, row] : rows_) {
      const auto [rank, lane] = key;
      const std::string name = fmt::format("rank {}", rank);
      const char* suffix = lane == RowLane::kReceive       ? " receives"
                           : lane == RowLane::kCollectives ? " collectives"
                                                           : "";
      out.push_back({{"name", name + suffix}, {"pp_rank", rank}, {"lane", enum_text(lane)}});
    }
    return out;
  }

 private:
  std::pair<int, RowLane> key(const TimelineEvent& event) const {
    return {rank_of(event), lane_of(event.kind)};
  }

  int num_ranks_;
  std::map<std::pair<int, RowLane>, int> rows_;
};

class TimelinePicture {
 public:
  explicit TimelinePicture(const cost::Timeline& timeline)
      : timeline_(timeline), rows_(timeline), computes_(timeline.busy.size()), works_(computes_) {
    for (const TimelineEvent& event : timeline.events) {
      const auto rank = static_cast<std::size_t>(rows_.rank_of(event));
      const RowLane lane = lane_of(event.kind);
      if (lane == RowLane::kCompute) computes_[rank].add(event.start, event.end);
      if (lane != RowLane::kReceive) works_[rank].add(event.start, event.end);
    }
    for (const TimelineEvent& event : timeline.events) add(event);
    for (int rank = 0; rank < static_cast<int>(works_.size()); ++rank) add_bubbles(rank);
  }

  OrderedJson view(std::size_t max_events) && {
    OrderedJson out = {{"total_ms", timeline_.total.value},
                       {"bubble_fraction", timeline_.bubble_fraction},
                       {"busy_ms", OrderedJson::array()},
                       {"kinds", enum_names<Drawn>()},
                       {"rows", rows_.view()}};
    for (const Milliseconds busy : timeline_.busy) out["busy_ms"].push_back(busy.value);
    out.update(event_columns(std::move(events_), max_events));
    return out;
  }

 private:
  void add(const TimelineEvent& event) {
    PictureEvent drawn{rows_.of(event),  static_cast<int>(drawn_as(event.kind)),
                       event.start,      event.end,
                       event.microbatch, event.chunk,
                       event.unit,       {}};
    if (lane_of(event.kind) != RowLane::kCompute) {
      drawn.hidden =
          computes_[static_cast<std::size_t>(rows_.rank_of(event))].within(event.start, event.end);
    }
    if (event.recompute.value > 0) {
      PictureEvent again = drawn;
      again.kind = static_cast<int>(Drawn::kRecompute);
      again.end = drawn.start = std::min(event.start + event.recompute, event.end);
      events_.push_back(again);
    }
    events_.push_back(drawn);
  }

  // Up to the step's end: what a rank waits for others.
  void add_bubbles(int rank) {
    constexpr double kNothing = 1e-6;  // of the step: rounding
    for (const auto& gap : works_[static_cast<std::size_t>(rank)].gaps({}, timeline_.total)) {
      if ((gap.end - gap.start) < kNothing * timeline_.total) continue;
      events_.push_back(
          {rows_.computing(rank), static_cast<int>(Drawn::kBubble), gap.start, gap.end});
    }
  }

  const cost::Timeline& timeline_;
  Rows rows_;
  std::vector<BusyTimes> computes_, works_;  // of each rank; its collectives are work, too
  std::vector<PictureEvent> events_;
};

}  // namespace

OrderedJson timeline_view(const cost::Timeline& timeline, std::size_t max_events) {
  return TimelinePicture(timeline).view(max_events);
}

}  // namespace galvatron::views
