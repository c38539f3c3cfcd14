// A line chart as SVG text, readable on light and dark pages and by screen readers.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace galvatron::planning {

struct ChartPoint {
  double x = 0, y = 0;
  std::string note;  // shown when pointed at; empty: no dot
};

struct ChartLine {
  std::string name;  // in the legend; empty: it is not there
  std::vector<ChartPoint> points;
  bool dashed = false;
  int color = 0;  // lines of one colour belong together
};

// Words beside a point, where there is room for them; the first ones come first.
struct ChartLabel {
  double x = 0, y = 0;
  std::string text;
};

struct Chart {
  std::string title;
  std::string description;  // a sentence for who cannot see it
  std::string x_title, y_title;
  std::vector<ChartLine> lines;
  std::vector<ChartLabel> labels;
  std::vector<std::pair<double, std::string>> marks;    // upright lines at some x, and their words
  std::vector<std::pair<double, std::string>> x_names;  // in the place of numbers along x
};

// REQUIRES: some line has a point; all numbers are finite.
std::string chart_svg(const Chart& chart);

// Round numbers that cover low .. high, about `wanted` of them: steps of 1, 2 or 5 times a power
// of ten. REQUIRES: low <= high.
std::vector<double> nice_ticks(double low, double high, int wanted);

}  // namespace galvatron::planning
