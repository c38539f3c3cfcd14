#include "galvatron/views/event_table.h"

#include <algorithm>
#include <utility>

namespace galvatron::views {

OrderedJson event_columns(std::vector<PictureEvent> events, std::size_t most, std::size_t count) {
  std::stable_sort(events.begin(), events.end(),
                   [](const PictureEvent& a, const PictureEvent& b) { return a.start < b.start; });
  OrderedJson out = {{"events", nullptr}, {"num_events", count}, {"left_out_ms", nullptr}};
  if (events.size() > most) {
    const auto first = events.begin() + static_cast<std::ptrdiff_t>(most - most / 2);
    const auto behind = events.end() - static_cast<std::ptrdiff_t>(most / 2);
    const Milliseconds until = behind == events.end() ? events.back().end : behind->start;
    out["left_out_ms"] = {first->start.value, until.value};
    events.erase(first, behind);
  }
  const auto column = [&](auto value_of) {
    OrderedJson values = OrderedJson::array();
    for (const PictureEvent& event : events) values.push_back(value_of(event));
    return values;
  };
  out["events"] = {{"row", column([](const auto& event) { return event.row; })},
                   {"kind", column([](const auto& event) { return event.kind; })},
                   {"start_ms", column([](const auto& event) { return event.start.value; })},
                   {"end_ms", column([](const auto& event) { return event.end.value; })},
                   {"microbatch", column([](const auto& event) { return event.microbatch; })},
                   {"chunk", column([](const auto& event) { return event.chunk; })},
                   {"unit", column([](const auto& event) { return event.unit; })},
                   {"hidden_ms", column([](const auto& event) { return event.hidden.value; })}};
  return out;
}

void BusyTimes::add(Milliseconds start, Milliseconds end) {
  if (!spans_.empty() && start <= spans_.back().end) {
    spans_.back().end = std::max(spans_.back().end, end);
  } else if (start < end) {
    spans_.push_back({start, end});
  }
}

std::size_t BusyTimes::first_behind(Milliseconds start) const {
  const auto found =
      std::upper_bound(spans_.begin(), spans_.end(), start,
                       [](Milliseconds time, const Span& span) { return time < span.end; });
  return static_cast<std::size_t>(found - spans_.begin());
}

Milliseconds BusyTimes::within(Milliseconds start, Milliseconds end) const {
  Milliseconds busy = end - start;
  for (const Span& gap : gaps(start, end)) busy = busy - (gap.end - gap.start);
  return std::max(busy, Milliseconds{});
}

std::vector<BusyTimes::Span> BusyTimes::gaps(Milliseconds start, Milliseconds end) const {
  std::vector<Span> out;
  for (std::size_t i = first_behind(start); i < spans_.size() && spans_[i].start < end; ++i) {
    if (start < spans_[i].start) out.push_back({start, spans_[i].start});
    start = spans_[i].end;
  }
  if (start < end) out.push_back({start, end});
  return out;
}

}  // namespace galvatron::views
