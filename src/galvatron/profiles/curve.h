// A measured curve: time or bytes over a size. Piecewise linear between its points, a straight line
// beyond them, and never falling, so that "larger" is never predicted to be cheaper.
#pragma once
#include <string>
#include <vector>

namespace galvatron::profiles {

struct CurvePoint {
  double x = 0;  // > 0
  double y = 0;  // >= 0
  bool operator==(const CurvePoint&) const = default;
};

// y = intercept + slope * x.
struct Line {
  double intercept = 0;
  double slope = 0;
  bool operator==(const Line&) const = default;
};

// Least squares of the relative error (every point weighs the same, whatever its size), both
// numbers kept >= 0. One point gives a line through the origin. REQUIRES: at least one point, x >
// 0, y >= 0.
Line fit_line(const std::vector<CurvePoint>& points);

class Curve {
 public:
  Curve() = default;
  // Sorts the points, averages those of equal x, raises a point that lies below its predecessor to
  // it, and fits a line.
  explicit Curve(std::vector<CurvePoint> points);
  // A line without points (a data sheet instead of a measurement).
  explicit Curve(Line line) : line_(line) {}

  // x <= 0: 0. Below the first point: on the segment from (0, min(intercept, first y)). Above the
  // last: continued with the fitted slope.
  double at(double x) const;

  const std::vector<CurvePoint>& points() const { return points_; }
  const Line& line() const { return line_; }

 private:
  std::vector<CurvePoint> points_;
  Line line_;
};

}  // namespace galvatron::profiles
