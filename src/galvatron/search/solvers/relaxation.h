// Linear relaxation of a choice: items of several kinds, each item picks one option of its kind (in
// fractions), the sum of weights is limited. Solved exactly by merging convex hulls.
#pragma once
#include <cstdint>
#include <limits>
#include <vector>

namespace galvatron::search {

struct WeightedCost {
  double weight = 0;
  double cost = 0;
};

// The options of one kind that a fractional choice can use: lower left convex hull, ascending
// weight, falling cost.
class LowerHull {
 public:
  LowerHull() = default;
  explicit LowerHull(std::vector<WeightedCost> options);
  const std::vector<WeightedCost>& points() const { return points_; }
  bool empty() const { return points_.empty(); }
  // Least cost of one (fractional) item of at most this weight; infinity when none is that light.
  double at(double weight) const;
  // Price of weight there: how fast the cost falls (>= 0).
  double price(double weight) const;

 private:
  std::vector<WeightedCost> points_;
};

struct HullCount {
  const LowerHull* hull = nullptr;
  int count = 0;
};

struct Relaxed {
  double cost = std::numeric_limits<double>::infinity();  // least sum; infinity when nothing fits
  double price = 0;  // of a unit of weight at the optimum: the dual value of the limit
};

Relaxed relax(const std::vector<HullCount>& items, double capacity);

// The least sum of relax() for every capacity: falling and convex.
class RelaxedCurve {
 public:
  explicit RelaxedCurve(const std::vector<HullCount>& items);
  double at(double capacity) const;  // infinity when nothing fits

 private:
  std::vector<WeightedCost> points_;  // ascending weight
};

}  // namespace galvatron::search
