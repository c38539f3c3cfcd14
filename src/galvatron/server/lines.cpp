#include "galvatron/server/lines.h"

#include <utility>

#include "galvatron/base/progress.h"
#include "galvatron/server/failure.h"

namespace galvatron::server {
namespace {

constexpr double kPause = 0.25;     // seconds between two lines
constexpr double kHeartbeat = 1.0;  // a reader who is gone is noticed by writing to him

}  // namespace

Lines::Lines(const http::WritePiece& write, double seconds)
    : write_(write), end_(now_seconds() + seconds), sent_(now_seconds() - kHeartbeat) {}

bool Lines::send(const OrderedJson& line) {
  if (!gone_) gone_ = !write_(line.dump() + "\n");
  sent_ = now_seconds();
  return !gone_;
}

bool Lines::is_over_time() const { return now_seconds() > end_; }

bool Lines::progress(const OrderedJson& line) {
  const std::scoped_lock lock(mutex_);
  latest_ = line;
  if (now_seconds() - sent_ >= kPause) send(line);
  return !gone_ && !is_over_time();
}

bool Lines::goes_on() {
  const std::scoped_lock lock(mutex_);
  if (!latest_.is_null() && now_seconds() - sent_ >= kHeartbeat) send(latest_);
  return !gone_ && !is_over_time();
}

void Lines::end(const OrderedJson& line) {
  const std::scoped_lock lock(mutex_);
  send(line);
}

http::Answer line_answer(double seconds, std::function<void(Lines& lines)> work) {
  http::Answer out;
  out.headers = {{"Content-Type", "application/x-ndjson"}, {"Cache-Control", "no-store"}};
  out.stream = [seconds, work = std::move(work)](const http::WritePiece& write) {
    Lines lines(write, seconds);
    try {
      work(lines);
    } catch (const Abandoned&) {
      if (lines.is_over_time()) {
        lines.end(
            failure_json("this takes longer than the answers of this server may: ask about "
                         "less, or ask `galvatron` on the command line"));
      }
    } catch (const std::exception& error) {
      lines.end(failure_json(failure_of(error).sentence));
    }
  };
  return out;
}

}  // namespace galvatron::server
