// When a search tells how far it is, and when it ends before its time: because its time is over, or
// because who watches it says so. Without a limit and without anybody who watches no clock is read,
// and the same question always gets the same answer.
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>

namespace galvatron::search {

struct SearchProgress {
  std::int64_t candidates = 0;  // shapes of the space, interleaved ones included
  std::int64_t decided = 0;     // solved, too large, or no better than the best so far
  // Of the best plan so far (infinity: none yet), and below all that can still be found; ms per
  // sample.
  double best = std::numeric_limits<double>::infinity();
  double bound = 0;
  double seconds = 0;  // since the search began
};
// "best 4.49 ms per sample, none below 4.41 ms"
std::string to_text(const SearchProgress& progress);

// Asked a few times a second; false: no further.
using WatchProgress = std::function<bool(const SearchProgress&)>;

class Pace {
 public:
  // `seconds`: unset, as long as it takes. `state`: what is known when asked; not `seconds`.
  Pace(std::optional<double> seconds, WatchProgress watch, std::function<SearchProgress()> state);

  // Is it time to end? Cheap enough to be asked every few microseconds; once true, always true.
  bool over();
  // Half of the time is gone. False without a limit.
  bool half_over();
  // over() for solvers, which know no clocks; nullptr where it is never true.
  const std::function<bool()>* interrupted() const { return timed() ? &interrupted_ : nullptr; }
  // "--time-limit after 5 s", "whoever watched it after 0.3 s"; empty: nothing has ended it.
  const std::string& ended_by() const { return ended_by_; }

 private:
  bool timed() const { return limit_ || watch_; }
  void end(const std::string& by, double after);

  std::optional<double> limit_;
  WatchProgress watch_;
  std::function<SearchProgress()> state_;
  std::function<bool()> interrupted_;
  double started_ = 0, told_ = 0;
  std::string ended_by_;
};

}  // namespace galvatron::search
