#include "galvatron/profiles/curve.h"

#include <algorithm>

#include "galvatron/base/error.h"

namespace galvatron::profiles {
namespace {

struct WeightedSums {
  double w = 0, x = 0, y = 0, xx = 0, xy = 0;
};

// Weights 1 / y^2 make the squared residuals relative. A point at y = 0 weighs as if it were a
// millionth of the largest.
WeightedSums weigh(const std::vector<CurvePoint>& points) {
  double largest = 0;
  for (const CurvePoint& point : points) largest = std::max(largest, point.y);
  const double floor = largest > 0 ? largest * 1e-6 : 1;
  WeightedSums sums;
  for (const CurvePoint& point : points) {
    const double size = std::max(point.y, floor);
    const double w = 1 / (size * size);
    sums.w += w;
    sums.x += w * point.x;
    sums.y += w * point.y;
    sums.xx += w * point.x * point.x;
    sums.xy += w * point.x * point.y;
  }
  return sums;
}

std::vector<CurvePoint> merge_equal_x(std::vector<CurvePoint> points) {
  std::stable_sort(points.begin(), points.end(),
                   [](const CurvePoint& a, const CurvePoint& b) { return a.x < b.x; });
  std::vector<CurvePoint> merged;
  for (std::size_t i = 0; i < points.size();) {
    std::size_t end = i;
    double sum = 0;
    while (end < points.size() && points[end].x == points[i].x) sum += points[end++].y;
    merged.push_back({points[i].x, sum / static_cast<double>(end - i)});
    i = end;
  }
  return merged;
}

}  // namespace

Line fit_line(const std::vector<CurvePoint>& points) {
  GALV_CHECK(!points.empty(), "no points to fit");
  for (const CurvePoint& point : points) {
    GALV_CHECK(point.x > 0 && point.y >= 0, "point (", point.x, ", ", point.y, ")");
  }
  const WeightedSums s = weigh(points);
  const Line through_origin{0, s.xy / s.xx};
  const double determinant = s.w * s.xx - s.x * s.x;
  if (points.size() < 2 || determinant <= 1e-12 * s.w * s.xx) return through_origin;
  const double slope = (s.w * s.xy - s.x * s.y) / determinant;
  const double intercept = (s.xx * s.y - s.x * s.xy) / determinant;
  if (slope < 0) return {s.y / s.w, 0};
  if (intercept < 0) return through_origin;
  return {intercept, slope};
}

Curve::Curve(std::vector<CurvePoint> points) : points_(merge_equal_x(std::move(points))) {
  if (points_.empty()) return;
  line_ = fit_line(points_);
  for (std::size_t i = 1; i < points_.size(); ++i) {
    points_[i].y = std::max(points_[i].y, points_[i - 1].y);
  }
}

double Curve::at(double x) const {
  if (x <= 0) return 0;
  if (points_.empty()) return line_.intercept + line_.slope * x;
  if (x >= points_.back().x) return points_.back().y + line_.slope * (x - points_.back().x);
  const auto right =
      std::upper_bound(points_.begin(), points_.end(), x,
                       [](double value, const CurvePoint& point) { return value < point.x; });
  const CurvePoint left = right == points_.begin()
                              ? CurvePoint{0, std::min(line_.intercept, points_.front().y)}
                              : *(right - 1);
  return left.y + (right->y - left.y) * (x - left.x) / (right->x - left.x);
}

}  // namespace galvatron::profiles
