// Events of a picture as columns, as the page draws them.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/base/units.h"

namespace galvatron::views {

struct PictureEvent {
  int row = 0, kind = 0;  // indices
  Milliseconds start, end;
  int microbatch = -1, chunk = 0, unit = -1;
  Milliseconds hidden = {};  // of communication, beside compute
};

// {"events", "num_events", "left_out_ms"} of TimelineView: the first and the last ones of more than
// `most`. Sorts them by their start. `count`: of all of them, where `events` lacks some between the
// first and the last `most`.
OrderedJson event_columns(std::vector<PictureEvent> events, std::size_t most, std::size_t count);

// Times in which a rank is at something: disjoint, ascending.
class BusyTimes {
 public:
  // REQUIRES: no earlier start than before.
  void add(Milliseconds start, Milliseconds end);
  // Of start .. end, how much is busy.
  Milliseconds within(Milliseconds start, Milliseconds end) const;
  // The parts of start .. end that are not.
  struct Span {
    Milliseconds start, end;
  };
  std::vector<Span> gaps(Milliseconds start, Milliseconds end) const;

 private:
  std::size_t first_behind(Milliseconds start) const;

  std::vector<Span> spans_;
};

}  // namespace galvatron::views
