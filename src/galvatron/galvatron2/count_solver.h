// How many of `count` identical items take each option: the core of a stage of equal layers. Order
// does not matter there, so a choice is a count per option. Unit-free and exact: branch and bound
// on whole weights, with linear-programming bounds.
#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "galvatron/search/solvers/relaxation.h"

namespace galvatron::galvatron2 {

struct CountOption {
  std::int64_t weight = 0;
  double cost = 0;
  double late = 0;  // a second cost, of which only what exceeds a threshold counts
  bool operator==(const CountOption&) const = default;
};

// Minimise  scale * sum cost + max(0, sum late - threshold)  subject to  sum weight <= capacity.
struct CountProblem {
  std::span<const CountOption> options;
  int count = 0;
  std::int64_t capacity = 0;
  double scale = 1;
  double threshold = std::numeric_limits<double>::infinity();
};

struct CountResult {
  double value = std::numeric_limits<double>::infinity();
  double lower_bound = std::numeric_limits<double>::infinity();  // equal to value when exact
  std::vector<int> counts;  // per option; empty when nothing below the cutoff fits
  std::int64_t nodes = 0;
};

// The relaxation of a choice of one item, with points of scale * cost + late_share * late.
search::LowerHull cost_hull(std::span<const CountOption> options, double scale, double late_share);

// A lower bound of the problem's value: the larger of the relaxations that count none and all of
// `late`. Infinity when nothing fits.
double count_bound(const CountProblem& problem);

// The minimum, if it is below `cutoff`. Exact unless more than `max_nodes` nodes are needed; then
// lower_bound is less than value.
CountResult solve_counts(const CountProblem& problem,
                         double cutoff = std::numeric_limits<double>::infinity(),
                         std::int64_t max_nodes = 2'000'000);

// All choices that are Pareto-optimal in (sum cost, max(sum late, enough_late)) with sum cost at
// most max_cost, ascending cost. `complete` is false when max_nodes was not enough.
struct CountFront {
  struct Point {
    double cost = 0, late = 0;
    std::vector<int> counts;
  };
  std::vector<Point> points;
  bool complete = true;
};
CountFront count_front(std::span<const CountOption> options, int count, std::int64_t capacity,
                       double max_cost, double enough_late, std::int64_t max_nodes = 2'000'000);

}  // namespace galvatron::galvatron2
