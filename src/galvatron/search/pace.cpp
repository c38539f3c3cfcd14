#include "galvatron/search/pace.h"

#include <utility>

#include <fmt/format.h>

#include "galvatron/base/progress.h"
#include "galvatron/base/units.h"

namespace galvatron::search {
namespace {

constexpr double kTellInterval = 0.2;  // seconds

std::string seconds_text(double seconds) { return galvatron::to_text(Milliseconds{1e3 * seconds}); }

}  // namespace

std::string to_text(const SearchProgress& progress) {
  const auto ms = [](double value) { return galvatron::to_text(Milliseconds{value}); };
  const std::string bound = progress.bound > 0 ? "none below " + ms(progress.bound) : "";
  if (progress.best == std::numeric_limits<double>::infinity()) {
    return "no plan yet" + (bound.empty() ? "" : ", " + bound + " per sample");
  }
  return "best " + ms(progress.best) + " per sample" + (bound.empty() ? "" : ", " + bound);
}

Pace::Pace(std::optional<double> seconds, WatchProgress watch,
           std::function<SearchProgress()> state)
    : limit_(seconds),
      watch_(std::move(watch)),
      state_(std::move(state)),
      interrupted_([this] { return over(); }) {
  if (timed()) started_ = told_ = now_seconds();
}

void Pace::end(const std::string& by, double after) {
  ended_by_ = by + " after " + seconds_text(after);
}

bool Pace::over() {
  if (!ended_by_.empty()) return true;
  if (!timed()) return false;
  const double now = now_seconds(), since = now - started_;
  if (limit_ && since >= *limit_) {
    end("--time-limit", *limit_);
  } else if (watch_ && now - told_ >= kTellInterval) {
    told_ = now;
    SearchProgress progress = state_();
    progress.seconds = since;
    if (!watch_(progress)) end("whoever watched it", since);
  }
  return !ended_by_.empty();
}

bool Pace::half_over() { return limit_ && now_seconds() - started_ >= *limit_ / 2; }

}  // namespace galvatron::search
