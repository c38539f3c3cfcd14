#include "galvatron/base/progress.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <unistd.h>

#include "galvatron/base/terminal.h"
#include "galvatron/base/units.h"

namespace galvatron {
namespace {

constexpr int kBarWidth = 24;
constexpr double kTerminalInterval = 0.1;  // seconds between redraws
constexpr double kPipedInterval = 10.0;    // seconds between plain lines

constexpr int kUsualColumns = 120;

std::size_t terminal_columns(std::FILE* out) {
  return static_cast<std::size_t>(terminal_width(out).value_or(kUsualColumns));
}

}  // namespace

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

ProgressBar::ProgressBar(std::string title, std::int64_t total, std::FILE* out, double patience)
    : title_(std::move(title)),
      total_(total),
      out_(out),
      patience_(patience),
      terminal_(isatty(fileno(out)) != 0),
      started_(now_seconds()) {}

ProgressBar::~ProgressBar() { finish(); }

void ProgressBar::update(std::int64_t done, const std::string& detail) {
  done_ = done;
  detail_ = detail;
  const double now = now_seconds();
  if (first_done_ < 0) {
    first_done_ = done;
    first_update_ = now;
  }
  if (total_ <= 0 || now - started_ < patience_) return;
  if (now - last_drawn_ < (terminal_ ? kTerminalInterval : kPipedInterval)) return;
  last_drawn_ = now;
  draw();
}

// Not fmt::print, which throws where nobody reads any more.
void ProgressBar::say(const std::string& text) { std::fputs(text.c_str(), out_); }

void ProgressBar::note(const std::string& line) {
  say(fmt::format("{}{}\n", terminal_ ? "\r\x1b[K" : "", line));
  const bool is_drawn = drawn_done_ >= 0 && !finished_;
  if (terminal_ && is_drawn) draw();
  std::fflush(out_);
}

void ProgressBar::finish() {
  if (finished_ || total_ <= 0) return;
  finished_ = true;
  if (now_seconds() - started_ < patience_) return;
  if (drawn_done_ != done_ || terminal_) draw();
  if (terminal_) std::fputs("\n", out_);
  std::fflush(out_);
}

void ProgressBar::draw() {
  drawn_done_ = done_;
  const double fraction =
      std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0);
  const double elapsed = now_seconds() - started_;
  std::string line = fmt::format("{} {}/{}", title_, done_, total_);
  if (terminal_) {
    const int filled = static_cast<int>(fraction * kBarWidth);
    std::string bar;
    for (int i = 0; i < kBarWidth; ++i) bar += i < filled ? "━" : "╌";
    line = fmt::format("{} {} {:3.0f}%", title_, bar, fraction * 100);
  }
  if (!detail_.empty()) line += "  " + detail_;
  if (!estimates_ || done_ >= total_ || done_ <= first_done_) {
    line += fmt::format("  {}", to_text(Milliseconds{elapsed * 1e3}));
  } else {
    const double each = (now_seconds() - first_update_) / static_cast<double>(done_ - first_done_);
    line += fmt::format("  {} left",
                        to_text(Milliseconds{each * static_cast<double>(total_ - done_) * 1e3}));
  }
  if (terminal_) {
    // The bar's glyphs take three bytes a column.
    const std::size_t limit = terminal_columns(out_) + 2 * kBarWidth;
    if (line.size() >= limit) line.resize(limit - 1);
    say(fmt::format("\r{}\x1b[K", line));
  } else {
    say(line + "\n");
  }
  std::fflush(out_);
}

}  // namespace galvatron
