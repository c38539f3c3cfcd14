#include "galvatron/views/timeline_view.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "galvatron/base/error.h"
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

// A row for each lane of a shown rank on which something lies.
class Rows {
 public:
  Rows(const cost::Timeline& timeline, Range shown)
      : num_ranks_(static_cast<int>(timeline.busy.size())),
        shown_(shown),
        row_of_(timeline.busy.size()) {
    for (auto& lanes : row_of_) lanes = {kNone, kNone, kNone};
    for (std::int64_t rank = shown.begin; rank < shown.end; ++rank) {
      row_of_[static_cast<std::size_t>(rank)][0] = 0;
    }
    for (const TimelineEvent& event : timeline.events) {
      if (has(event)) place(event) = 0;
    }
    int next = 0;
    for (auto& lanes : row_of_) {
      for (int& row : lanes) {
        if (row != kNone) row = next++;
      }
    }
  }

  int rank_of(const TimelineEvent& event) const { return event.stage % num_ranks_; }
  bool has(const TimelineEvent& event) const {
    const int rank = rank_of(event);
    return rank >= shown_.begin && rank < shown_.end;
  }
  int of(const TimelineEvent& event) { return place(event); }
  int computing(int rank) const { return row_of_[static_cast<std::size_t>(rank)][0]; }

  OrderedJson view() const {
    OrderedJson out = OrderedJson::array();
    for (int rank = 0; rank < num_ranks_; ++rank) {
      for (const RowLane lane : enum_values<RowLane>()) {
        if (row_of_[static_cast<std::size_t>(rank)][static_cast<std::size_t>(lane)] == kNone)
          continue;
        const char* suffix = lane == RowLane::kReceive       ? " receives"
                             : lane == RowLane::kCollectives ? " collectives"
                                                             : "";
        out.push_back({{"name", fmt::format("rank {}{}", rank, suffix)},
                       {"pp_rank", rank},
                       {"lane", enum_text(lane)}});
      }
    }
    return out;
  }

 private:
  static constexpr int kNone = -1;
  int& place(const TimelineEvent& event) {
    return row_of_[static_cast<std::size_t>(rank_of(event))]
                  [static_cast<std::size_t>(lane_of(event.kind))];
  }

  int num_ranks_;
  Range shown_;
  std::vector<std::array<int, 3>> row_of_;  // by rank and lane
};

class TimelinePicture {
 public:
  TimelinePicture(const cost::Timeline& timeline, Range shown, std::size_t max_events)
      : timeline_(timeline),
        rows_(timeline, shown),
        computes_(timeline.busy.size()),
        works_(computes_) {
    std::vector<const TimelineEvent*> events;
    for (const TimelineEvent& event : timeline.events) {
      if (rows_.has(event)) events.push_back(&event);
    }
    for (const TimelineEvent* one : events) {
      const TimelineEvent& event = *one;
      const auto rank = static_cast<std::size_t>(rows_.rank_of(event));
      const RowLane lane = lane_of(event.kind);
      if (lane == RowLane::kCompute) computes_[rank].add(event.start, event.end);
      if (lane != RowLane::kReceive) works_[rank].add(event.start, event.end);
    }
    const std::size_t count = events.size();
    for (std::size_t i = 0; i < count; ++i) {
      const TimelineEvent& event = *events[i];
      count_ += event.recompute.value > 0 ? 2 : 1;
      if (i < max_events || i + max_events >= count) add(event);
    }
    for (std::int64_t rank = shown.begin; rank < shown.end; ++rank) {
      add_bubbles(static_cast<int>(rank));
    }
  }

  OrderedJson view(std::size_t max_events) && {
    OrderedJson out = {{"total_ms", timeline_.total.value},
                       {"bubble_fraction", timeline_.bubble_fraction},
                       {"busy_ms", OrderedJson::array()},
                       {"kinds", enum_names<Drawn>()},
                       {"rows", rows_.view()}};
    for (const Milliseconds busy : timeline_.busy) out["busy_ms"].push_back(busy.value);
    out.update(event_columns(std::move(events_), max_events, count_));
    return out;
  }

 private:
  void add(const TimelineEvent& event) {
    PictureEvent drawn{rows_.of(event),  static_cast<int>(drawn_as(event.kind)),
                       event.start,      event.end,
                       event.microbatch, event.chunk,
                       event.unit,       {}};
    if (lane_of(event.kind) != RowLane::kCompute) {
      const BusyTimes& computes = computes_[static_cast<std::size_t>(rows_.rank_of(event))];
      drawn.hidden = computes.within(event.start, event.end);
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
      ++count_;
      events_.push_back(
          {rows_.computing(rank), static_cast<int>(Drawn::kBubble), gap.start, gap.end});
    }
  }

  const cost::Timeline& timeline_;
  Rows rows_;
  std::vector<BusyTimes> computes_, works_;  // of each rank; its collectives are work, too
  std::vector<PictureEvent> events_;         // those that can be among the first or the last
  std::size_t count_ = 0;                    // of all
};

}  // namespace

OrderedJson timeline_view(const cost::Timeline& timeline, std::size_t max_events,
                          std::optional<Range> pp_ranks) {
  const auto count = static_cast<std::int64_t>(timeline.busy.size());
  const Range shown = pp_ranks.value_or(Range{0, count});
  if (shown.begin < 0 || shown.end > count || shown.begin >= shown.end) {
    throw ConfigError("[timeline] pp_ranks ", shown.begin, " .. ", shown.end - 1,
                      " are not within the plan's ", count_text(count, "pipeline rank"));
  }
  return TimelinePicture(timeline, shown, max_events).view(max_events);
}

}  // namespace galvatron::views
