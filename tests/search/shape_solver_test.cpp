#include "galvatron/search/shape_solver.h"

#include <gtest/gtest.h>

#include "search/random_tables.h"

namespace galvatron::search {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(ShapeSolver, EqualsBruteForce) {
  Random random{std::mt19937_64(411)};
  int solved = 0, infeasible = 0;
  for (int round = 0; round < 3000; ++round) {
    const cost::CostTables tables = random_tables(random, random.whole(1, 3), 4);
    const int n = tables.num_layers();
    double best = kInfinity;
    std::int64_t leanest = std::numeric_limits<std::int64_t>::max();
    // A budget between "nothing fits" and "everything fits".
    std::vector<Evaluated> all;
    all_partitions(n, tables.shape.pp_degree, [&](const std::vector<int>& sizes) {
      all_choices(tables, [&](const std::vector<int>& choice) {
        all.push_back(evaluate(tables, choice, sizes));
        leanest = std::min(leanest, all.back().bytes);
      });
    });
    const std::int64_t budget = leanest + random.whole(-5, 80);
    for (const Evaluated& one : all) {
      if (one.bytes <= budget) best = std::min(best, one.step_ms);
    }
    const LayerRanges ranges(tables.type_of_layer);
    const ShapeQuestion question(tables, ranges, {}, {budget, true});
    ShapeSolver solver(question, -1);
    EXPECT_EQ(solver.least_bytes(std::int64_t{1} << 60), leanest) << "round " << round;
    EXPECT_LE(solver.lower_bound(), best * (1 + 1e-9)) << "round " << round;
    const ShapeAnswer answer = solver.solve(kInfinity);
    EXPECT_TRUE(answer.complete);
    ASSERT_EQ(answer.found(), best < kInfinity) << "round " << round;
    if (!answer.found()) {
      ++infeasible;
      continue;
    }
    ++solved;
    EXPECT_NEAR(answer.step_ms, best, 1e-9 * best) << "round " << round;
    const Evaluated check = evaluate(tables, answer.choice, answer.layers_per_stage);
    EXPECT_NEAR(check.step_ms, answer.step_ms, 1e-9 * best) << "round " << round;
    EXPECT_LE(check.bytes, budget) << "round " << round;
    EXPECT_NEAR(solver.lower_bound(), best, 1e-9 * best);
    // Knowing a good value beforehand changes nothing, and a beam gives a plan that fits.
    ShapeSolver again(question, -1);
    EXPECT_FALSE(again.solve(best * (1 - 1e-7)).found()) << "round " << round;
    EXPECT_NEAR(again.solve(best * (1 + 1e-7)).step_ms, best, 1e-9 * best) << "round " << round;
    const ShapeAnswer beam = again.solve(kInfinity, {.beam = 2});
    if (beam.found()) EXPECT_GE(beam.step_ms, best * (1 - 1e-9)) << "round " << round;
  }
  EXPECT_GT(solved, 2000);
  EXPECT_GT(infeasible, 100);
}

}  // namespace
}  // namespace galvatron::search
