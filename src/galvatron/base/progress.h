// What long work shows on the terminal: a bar that redraws in place, or plain lines when the output
// is piped.
#pragma once
#include <cstdint>
#include <cstdio>
#include <string>

namespace galvatron {

class ProgressBar {
 public:
  // Draws on `out` (stderr by default). A total of 0 draws nothing. Work that is over within
  // `patience` seconds shows nothing either.
  ProgressBar(std::string title, std::int64_t total, std::FILE* out = stderr, double patience = 0);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // For work whose parts are not alike: the time so far instead of an estimate of what is left.
  void without_estimate() { estimates_ = false; }
  // `detail` is shown after the bar, such as "loss 4.21  1532 tok/s  312 MiB". Redraws at most ten
  // times a second.
  void update(std::int64_t done, const std::string& detail = "");
  // A line of text above the bar.
  void note(const std::string& line);
  // Draws the last state and ends the line. Safe to call twice.
  void finish();

 private:
  void draw();
  void say(const std::string& text);

  std::string title_;
  std::int64_t total_;
  std::FILE* out_;
  double patience_;
  bool terminal_;
  bool finished_ = false;
  bool estimates_ = true;
  std::int64_t done_ = 0;
  std::int64_t drawn_done_ = -1;
  std::string detail_;
  double started_;
  std::int64_t first_done_ = -1;  // of the first update: a resumed run starts in the middle
  double first_update_ = 0;       // when that was
  double last_drawn_ = 0;
};

// Seconds of a monotonic clock.
double now_seconds();

}  // namespace galvatron
