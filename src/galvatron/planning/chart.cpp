#include "galvatron/planning/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/base/terminal.h"
#include "galvatron/planning/result_table.h"

namespace galvatron::planning {
namespace {

// All in the picture's own units, about a pixel each.
constexpr double kWidth = 960, kHeight = 520;
constexpr double kLeft = 84, kRight = 24, kTop = 64, kBottom = 64;
constexpr double kLegend = 200;                    // where it begins
constexpr double kLetter = 6.1, kLineHeight = 14;  // of the small letters
constexpr int kColors = 6;
constexpr int kTicks = 7;

// Colours that people who confuse red and green can tell apart (Okabe and Ito 2008).
constexpr const char* kStyle =
    "svg{background:#fff;color:#222;font:12px system-ui,sans-serif}"
    "text{fill:currentColor}.small{font-size:11px}.title{font-size:16px;font-weight:600}"
    ".grid{stroke:#888;stroke-opacity:.25}.axis{stroke:currentColor;stroke-opacity:.6}"
    ".mark{stroke:currentColor;stroke-opacity:.6;stroke-dasharray:2 4}"
    "polyline{fill:none;stroke-width:2;stroke-linejoin:round}.dashed{stroke-dasharray:5 5}"
    ".c0{stroke:#0072b2;fill:#0072b2}.c1{stroke:#d55e00;fill:#d55e00}"
    ".c2{stroke:#009e73;fill:#009e73}.c3{stroke:#b8529a;fill:#b8529a}"
    ".c4{stroke:#a87900;fill:#a87900}.c5{stroke:#3a8fb7;fill:#3a8fb7}"
    "@media (prefers-color-scheme:dark){svg{background:#16181c;color:#e6e6e6}"
    ".c0{stroke:#56b4e9;fill:#56b4e9}.c1{stroke:#f08a4b;fill:#f08a4b}"
    ".c2{stroke:#3ecf9f;fill:#3ecf9f}.c3{stroke:#dd94c4;fill:#dd94c4}"
    ".c4{stroke:#e6b422;fill:#e6b422}.c5{stroke:#9fd3ea;fill:#9fd3ea}}"
    "polyline.c0,polyline.c1,polyline.c2,polyline.c3,polyline.c4,polyline.c5{fill:none}";

struct Span {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  double part(double value) const { return high > low ? (value - low) / (high - low) : 0.5; }
};

struct Box {
  double left, top, right, bottom;
  bool meets(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

class Drawing {
 public:
  explicit Drawing(const Chart& chart) : chart_(chart) {
    for (const ChartLine& line : chart.lines) {
      for (const ChartPoint& point : line.points) {
        x_.include(point.x);
        y_.include(point.y);
      }
    }
    GALV_CHECK(x_.low <= x_.high, "a chart without points");
    for (const auto& [x, name] : chart.x_names) x_.include(x);
    for (const auto& [x, text] : chart.marks) x_.include(x);
    const double room = y_.high > y_.low ? 0.06 * (y_.high - y_.low) : 0.1 * std::abs(y_.high) + 1;
    y_.include(y_.high + room);
    y_.include(std::max(y_.low - room, std::min(y_.low, 0.0)));
  }

  std::string svg() && {
    head();
    axes();
    marks();
    for (const ChartLine& line : chart_.lines) draw(line);
    legend();
    labels();
    return out_ + "</svg>\n";
  }

 private:
  double across(double x) const { return kLeft + x_.part(x) * (kWidth - kLeft - kRight); }
  double down(double y) const {
    return kHeight - kBottom - y_.part(y) * (kHeight - kTop - kBottom);
  }

  template <typename... Parts>
  void put(fmt::format_string<Parts...> format, Parts&&... parts) {
    out_ += fmt::format(format, std::forward<Parts>(parts)...) + "\n";
  }
  void put_text(double x, double y, const char* anchor, const std::string& text,
                const char* kind = "small") {
    put(R"(<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>)", kind, x, y, anchor,
        escape_markup(text));
  }
  void put_line(const char* kind, double x1, double y1, double x2, double y2) {
    put(R"(<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>)", kind, x1, y1, x2,
        y2);
  }

  void head() {
    put(R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" )"
        R"(aria-labelledby="title description">)",
        kWidth, kHeight);
    put("<title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>\n<style>{}</style>",
        escape_markup(chart_.title), escape_markup(chart_.description), kStyle);
    put_text(kLeft, 24, "start", chart_.title, "title");
  }

  void axes() {
    const double bottom = kHeight - kBottom, right = kWidth - kRight;
    for (const double y : nice_ticks(y_.low, y_.high, kTicks)) {
      put_line("grid", kLeft, down(y), right, down(y));
      put_text(kLeft - 8, down(y) + 4, "end", fmt::format("{:g}", y));
    }
    auto names = chart_.x_names;
    if (names.empty()) {
      for (const double x : nice_ticks(x_.low, x_.high, kTicks)) {
        names.emplace_back(x, fmt::format("{:g}", x));
      }
    }
    for (const auto& [x, name] : names) {
      put_line("grid", across(x), kTop, across(x), bottom);
      put_text(across(x), bottom + 18, "middle", name);
    }
    put_line("axis", kLeft, bottom, right, bottom);
    put_line("axis", kLeft, kTop, kLeft, bottom);
    put_text((kLeft + right) / 2, kHeight - 16, "middle", chart_.x_title, "");
    put_text(16, 44, "start", chart_.y_title, "");
  }

  void marks() {
    for (const auto& [x, text] : chart_.marks) {
      put_line("mark", across(x), kTop, across(x), kHeight - kBottom);
      place(across(x), kTop + 4, text);
    }
  }

  void draw(const ChartLine& line) {
    const int color = line.color % kColors;
    std::string points;
    for (const ChartPoint& point : line.points) {
      points += fmt::format("{:.1f},{:.1f} ", across(point.x), down(point.y));
    }
    put(R"(<polyline class="c{}{}" points="{}"/>)", color, line.dashed ? " dashed" : "", points);
    for (const ChartPoint& point : line.points) {
      if (point.note.empty()) continue;
      put(R"(<circle class="c{}" cx="{:.1f}" cy="{:.1f}" r="3"><title>{}</title></circle>)", color,
          across(point.x), down(point.y), escape_markup(point.note));
    }
    for (std::size_t i = 0; i + 1 < line.points.size(); ++i)
      keep_free(line.points[i], line.points[i + 1]);
  }

  // Words do not stand on lines.
  void keep_free(const ChartPoint& a, const ChartPoint& b) {
    constexpr int kPieces = 24;
    for (int i = 0; i <= kPieces; ++i) {
      const double part = static_cast<double>(i) / kPieces;
      const double x = across(a.x) + part * (across(b.x) - across(a.x));
      const double y = down(a.y) + part * (down(b.y) - down(a.y));
      taken_.push_back({x - 2, y - 2, x + 2, y + 2});
    }
  }

  void legend() {
    double x = kLegend;
    for (const ChartLine& line : chart_.lines) {
      if (line.name.empty()) continue;
      put(R"(<polyline class="c{}{}" points="{:.1f},40 {:.1f},40"/>)", line.color % kColors,
          line.dashed ? " dashed" : "", x, x + 22);
      put_text(x + 28, 44, "start", line.name);
      x += 44 + kLetter * static_cast<double>(display_width(line.name));
    }
  }

  void labels() {
    for (const ChartLabel& label : chart_.labels) {
      place(across(label.x), down(label.y), label.text);
    }
  }

  // Beside the point where nothing else stands; nowhere when there is no such place.
  void place(double x, double y, const std::string& text) {
    const double width = kLetter * static_cast<double>(display_width(text));
    for (const double dx : {6.0, -6 - width}) {
      for (const double dy : {-6.0, kLineHeight, 2 * kLineHeight, -6 - kLineHeight}) {
        const Box box{x + dx, y + dy - kLineHeight + 3, x + dx + width, y + dy + 3};
        const bool inside = box.left >= kLeft && box.right <= kWidth && box.top >= kTop - 8 &&
                            box.bottom <= kHeight - kBottom;
        if (!inside || std::any_of(taken_.begin(), taken_.end(),
                                   [&](const Box& other) { return other.meets(box); })) {
          continue;
        }
        taken_.push_back(box);
        put_text(x + dx, y + dy, "start", text);
        return;
      }
    }
  }

  const Chart& chart_;
  Span x_, y_;
  std::vector<Box> taken_;  // by lines and words
  std::string out_;
};

}  // namespace

std::vector<double> nice_ticks(double low, double high, int wanted) {
  if (low == high) return {low};
  const double rough = (high - low) / wanted;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0}) {
    if (factor * power >= rough) step = factor * power;
  }
  std::vector<double> out;
  const auto last = static_cast<std::int64_t>(std::floor(high / step + 1e-9));
  for (auto i = static_cast<std::int64_t>(std::ceil(low / step - 1e-9)); i <= last; ++i) {
    out.push_back(static_cast<double>(i) * step);
  }
  return out;
}

std::string chart_svg(const Chart& chart) { return Drawing(chart).svg(); }

}  // namespace galvatron::planning
