#include "galvatron/search/solvers/relaxation.h"

#include <algorithm>

#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::search {
namespace {

// From the end of a segment of a hull to its beginning: lighter and dearer.
struct Step {
  double price = 0;  // cost per unit of weight saved
  double weight = 0;
};

// The first point of more than this weight.
auto heavier(const std::vector<WeightedCost>& points, double weight) {
  return std::upper_bound(
      points.begin(), points.end(), weight,
      [](double limit, const WeightedCost& point) { return limit < point.weight; });
}

// On the falling curve through points of ascending weight; infinity in front of it.
double curve_at(const std::vector<WeightedCost>& points, double weight) {
  const auto beyond = heavier(points, weight);
  if (beyond == points.begin()) return kInfinity;
  const WeightedCost& a = *std::prev(beyond);
  if (beyond == points.end()) return a.cost;
  return a.cost + (beyond->cost - a.cost) * (weight - a.weight) / (beyond->weight - a.weight);
}

}  // namespace

LowerHull::LowerHull(std::vector<WeightedCost> options) {
  std::sort(options.begin(), options.end(), [](const WeightedCost& a, const WeightedCost& b) {
    return a.weight != b.weight ? a.weight < b.weight : a.cost < b.cost;
  });
  for (const WeightedCost& point : options) {
    if (!points_.empty() && point.cost >= points_.back().cost) continue;
    while (points_.size() >= 2) {
      const WeightedCost& a = points_[points_.size() - 2];
      const WeightedCost& b = points_.back();
      const bool above = (b.cost - a.cost) * (point.weight - a.weight) >=
                         (point.cost - a.cost) * (b.weight - a.weight);
      if (!above) break;
      points_.pop_back();
    }
    points_.push_back(point);
  }
}

double LowerHull::at(double weight) const { return curve_at(points_, weight); }

double LowerHull::price(double weight) const {
  const auto beyond = heavier(points_, weight);
  if (beyond == points_.begin() || beyond == points_.end()) return 0;
  const WeightedCost& a = *std::prev(beyond);
  return (a.cost - beyond->cost) / (beyond->weight - a.weight);
}

// All items start at their cheapest option; weight is saved where that costs least.
Relaxed relax(const std::vector<HullCount>& items, double capacity) {
  Relaxed out;
  double cost = 0, weight = 0;
  std::vector<Step> steps;
  for (const auto& [hull, count] : items) {
    if (count == 0) continue;
    if (hull->empty()) return out;
    const auto& points = hull->points();
    cost += count * points.back().cost;
    weight += count * points.back().weight;
    for (std::size_t i = points.size(); i-- > 1;) {
      const double saved = points[i].weight - points[i - 1].weight;
      steps.push_back({(points[i - 1].cost - points[i].cost) / saved, count * saved});
    }
  }
  std::sort(steps.begin(), steps.end(),
            [](const Step& a, const Step& b) { return a.price < b.price; });
  for (const Step& step : steps) {
    if (weight <= capacity) break;
    const double saved = std::min(step.weight, weight - capacity);
    weight -= saved;
    cost += saved * step.price;
    out.price = step.price;
  }
  // The last step may leave a rounding of the sum.
  if (weight > capacity + kRounding * (weight > 0 ? weight : 1)) {
    out.price = 0;
    return out;
  }
  out.cost = cost;
  return out;
}

// All items start at their lightest option; weight is added where that saves most.
RelaxedCurve::RelaxedCurve(const std::vector<HullCount>& items) {
  WeightedCost at;
  std::vector<Step> steps;
  for (const auto& [hull, count] : items) {
    if (count == 0) continue;
    if (hull->empty()) return;
    const auto& points = hull->points();
    at.weight += count * points.front().weight;
    at.cost += count * points.front().cost;
    for (std::size_t i = 1; i < points.size(); ++i) {
      const double added = points[i].weight - points[i - 1].weight;
      steps.push_back({(points[i - 1].cost - points[i].cost) / added, count * added});
    }
  }
  std::sort(steps.begin(), steps.end(),
            [](const Step& a, const Step& b) { return a.price > b.price; });
  points_.push_back(at);
  for (const Step& step : steps) {
    at.weight += step.weight;
    at.cost -= step.price * step.weight;
    points_.push_back(at);
  }
}

double RelaxedCurve::at(double capacity) const { return curve_at(points_, capacity); }

}  // namespace galvatron::search
