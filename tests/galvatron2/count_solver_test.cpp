#include "galvatron/galvatron2/count_solver.h"

#include <gtest/gtest.h>

#include "galvatron/search/solvers/tolerance.h"

#include "search/random_tables.h"

namespace galvatron::galvatron2 {
namespace {

// Every way to give `items` to options next.., calling visit(counts, weight, cost, late).
template <typename Visit>
void all_counts(const std::vector<CountOption>& options, int items, Visit visit,
                std::vector<int> counts = {}) {
  if (counts.size() + 1 == options.size()) {
    counts.push_back(items);
    std::int64_t weight = 0;
    double cost = 0, late = 0;
    for (std::size_t i = 0; i < options.size(); ++i) {
      weight += counts[i] * options[i].weight;
      cost += counts[i] * options[i].cost;
      late += counts[i] * options[i].late;
    }
    visit(counts, weight, cost, late);
    return;
  }
  for (int used = 0; used <= items; ++used) {
    auto more = counts;
    more.push_back(used);
    all_counts(options, items - used, visit, more);
  }
}

struct Instance {
  std::vector<CountOption> options;
  CountProblem problem;
};

Instance random_instance(search::Random& random) {
  Instance out;
  const int kinds = random.whole(1, 5);
  for (int i = 0; i < kinds; ++i) {
    const bool round = random.whole(0, 3) == 0;  // ties
    const double cost = random.real(0.5, 3), late = random.real(0, 2);
    out.options.push_back(
        {random.whole(0, 40), round ? std::round(cost) : cost, round ? std::round(late) : late});
  }
  out.problem.count = random.whole(0, 9);
  out.problem.capacity = random.whole(-3, 45) * std::max(out.problem.count, 1);
  out.problem.scale = random.whole(1, 4);
  if (random.whole(0, 1)) out.problem.threshold = random.real(-2, 12);
  return out;
}

TEST(CountSolver, EqualsBruteForce) {
  search::Random random{std::mt19937_64(20261121)};
  int solved = 0;
  for (int round = 0; round < 4000; ++round) {
    Instance instance = random_instance(random);
    CountProblem& problem = instance.problem;
    problem.options = instance.options;
    double best = search::kInfinity;
    all_counts(instance.options, problem.count,
               [&](const auto&, std::int64_t weight, double cost, double late) {
                 if (weight > problem.capacity) return;
                 best =
                     std::min(best, problem.scale * cost + std::max(0.0, late - problem.threshold));
               });
    const CountResult result = solve_counts(problem);
    if (best == search::kInfinity) {
      EXPECT_EQ(result.value, search::kInfinity) << "round " << round;
      continue;
    }
    ++solved;
    EXPECT_NEAR(result.value, best, 1e-9) << "round " << round;
    EXPECT_EQ(result.lower_bound, result.value);
    EXPECT_LE(count_bound(problem), best + 1e-9) << "round " << round;
    std::int64_t weight = 0;
    int items = 0;
    for (std::size_t i = 0; i < result.counts.size(); ++i) {
      weight += result.counts[i] * instance.options[i].weight;
      items += result.counts[i];
    }
    EXPECT_LE(weight, problem.capacity);
    EXPECT_EQ(items, problem.count);
  }
  EXPECT_GT(solved, 2000);
}

TEST(CountSolver, FrontEqualsBruteForce) {
  search::Random random{std::mt19937_64(7)};
  int points = 0;
  for (int round = 0; round < 1500; ++round) {
    const Instance instance = random_instance(random);
    const CountProblem& problem = instance.problem;
    const double enough = random.real(0, 8), most = random.real(1, 25);
    std::vector<std::pair<double, double>> all;
    all_counts(instance.options, problem.count,
               [&](const auto&, std::int64_t weight, double cost, double late) {
                 if (weight <= problem.capacity && cost <= most) {
                   all.emplace_back(cost, std::max(late, enough));
                 }
               });
    const CountFront front =
        count_front(instance.options, problem.count, problem.capacity, most, enough);
    EXPECT_TRUE(front.complete);
    for (const auto& [cost, late] : all) {
      EXPECT_TRUE(std::any_of(front.points.begin(), front.points.end(),
                              [&](const auto& point) {
                                return point.cost <= cost + 1e-9 && point.late <= late + 1e-9;
                              }))
          << "round " << round;
    }
    for (const auto& point : front.points) {
      EXPECT_TRUE(std::any_of(all.begin(), all.end(),
                              [&](const auto& one) {
                                return std::abs(one.first - point.cost) < 1e-9 &&
                                       std::abs(one.second - point.late) < 1e-9;
                              }))
          << "round " << round;
      ++points;
    }
  }
  EXPECT_GT(points, 1500);
}

TEST(CountSolver, CutoffHidesWhatIsNotBetter) {
  const std::vector<CountOption> options = {{10, 1, 0}, {5, 2, 0}};
  EXPECT_DOUBLE_EQ(solve_counts({options, 4, 30}).value, 6);
  EXPECT_EQ(solve_counts({options, 4, 30}).counts, (std::vector<int>{2, 2}));
  EXPECT_TRUE(solve_counts({options, 4, 30}, 6).counts.empty());
}

}  // namespace
}  // namespace galvatron::galvatron2
