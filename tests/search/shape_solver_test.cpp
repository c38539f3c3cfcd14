#include "galvatron/search/solvers/shape_solver.h"

#include <gtest/gtest.h>

#include "galvatron/search/solvers/tolerance.h"

#include "search/random_tables.h"

namespace galvatron::search {
namespace {

// Every plan of a small instance.
struct BruteForce {
  std::vector<Evaluated> all;
  std::int64_t leanest = std::numeric_limits<std::int64_t>::max();

  explicit BruteForce(const cost::CostTables& tables, bool uneven = true) {
    const int n = tables.num_layers(), p = tables.shape.pp_degree;
    const auto flights = cost::flight_moments(tables.shape);
    all_partitions(n, p, [&](const std::vector<int>& sizes) {
      for (int stage = 0; stage < p && !uneven; ++stage) {
        if (sizes[static_cast<std::size_t>(stage)] != chunk(n, p, stage).size()) return;
      }
      all_choices(tables, [&](const std::vector<int>& choice) {
        all.push_back(evaluate(tables, flights, choice, sizes));
        leanest = std::min(leanest, all.back().bytes);
      });
    });
  }
  double best(std::int64_t budget) const {
    double best = kInfinity;
    for (const Evaluated& one : all) {
      if (one.bytes <= budget) best = std::min(best, one.step_ms);
    }
    return best;
  }
};

struct Seen {
  int solved = 0, infeasible = 0;
};

// One instance at a budget between "nothing fits" and "everything fits".
void compare(Random& random, const cost::CostTables& tables, bool uneven, Seen& seen) {
  const BruteForce brute(tables, uneven);
  const LayerRanges ranges(tables.type_of_layer);
  const auto groups = tied_groups(tables);
  if (brute.all.empty()) {  // tied types without a common group
    const ShapeQuestion question(tables, ranges, groups, {1'000'000, uneven});
    EXPECT_FALSE(solve_shape(question).found());
    return;
  }
  const std::int64_t budget = brute.leanest + random.whole(-5, 80);
  const double best = brute.best(budget);
  const ShapeQuestion question(tables, ranges, groups, {budget, uneven});
  EXPECT_EQ(least_bytes(question), brute.leanest);
  const ShapeAnswer answer = solve_shape(question);
  EXPECT_TRUE(answer.complete);
  ASSERT_EQ(answer.found(), best < kInfinity);
  if (!answer.found()) {
    ++seen.infeasible;
    return;
  }
  ++seen.solved;
  EXPECT_NEAR(answer.step_ms, best, 1e-9 * best);
  const Evaluated check =
      evaluate(tables, cost::flight_moments(tables.shape), answer.choice, answer.layers_per_stage);
  EXPECT_NEAR(check.step_ms, answer.step_ms, 1e-9 * best);
  EXPECT_LE(check.bytes, budget);
  EXPECT_TRUE(ties_hold(tables, groups, answer.choice));
  // Knowing a good value beforehand changes nothing.
  EXPECT_FALSE(solve_shape(question, best * (1 - 1e-7)).found());
  EXPECT_NEAR(solve_shape(question, best * (1 + 1e-7)).step_ms, best, 1e-9 * best);
}

TEST(ShapeSolver, EqualsBruteForceOnDecoders) {
  Random random{std::mt19937_64(411)};
  Seen seen;
  for (int round = 0; round < 3000; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    compare(random, random_tables(random, decoder_model(random.whole(1, 3))), true, seen);
  }
  EXPECT_GT(seen.solved, 2000);
  EXPECT_GT(seen.infeasible, 100);
}

// Types in any order, borders of several widths, weights shared by two types or more.
TEST(ShapeSolver, EqualsBruteForceOnMixedModels) {
  Random random{std::mt19937_64(77)};
  Seen seen;
  int three_tied = 0, many_kinds = 0;
  for (int round = 0; round < 6000; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    const int layers = random.whole(2, 6);
    RandomModel model = mixed_model(random, layers, random.whole(1, 6));
    model.most_stages = 4;
    model.most_candidates = layers > 4 ? 3 : 4;
    const cost::CostTables tables = random_tables(random, model);
    three_tied += tables.tied_types.size() >= 3 ? 1 : 0;
    many_kinds += tables.cost.size() >= 4 ? 1 : 0;
    compare(random, tables, random.whole(0, 3) > 0, seen);
  }
  EXPECT_GT(seen.solved, 3000);
  EXPECT_GT(seen.infeasible, 50);
  EXPECT_GT(three_tied, 100);
  EXPECT_GT(many_kinds, 200);
}

TEST(ShapeSolver, BoundsAndBeams) {
  Random random{std::mt19937_64(5)};
  for (int round = 0; round < 1000; ++round) {
    const cost::CostTables tables = random_tables(random, decoder_model(random.whole(1, 3)));
    const BruteForce brute(tables);
    const std::int64_t budget = brute.leanest + random.whole(0, 80);
    const double best = brute.best(budget);
    const LayerRanges ranges(tables.type_of_layer);
    const ShapeQuestion question(tables, ranges, {}, {budget, true});
    ShapeSolver solver(question, -1);
    EXPECT_LE(solver.lower_bound(), best * (1 + 1e-9)) << "round " << round;
    solver.tighten(kInfinity);
    EXPECT_LE(solver.lower_bound(), best * (1 + 1e-9)) << "round " << round;
    EXPECT_LE(solver.least_bytes_bound(), brute.leanest) << "round " << round;
    const ShapeAnswer beam = solver.solve(kInfinity, {.beam = 2});
    EXPECT_GE(beam.step_ms, best * (1 - 1e-9)) << "round " << round;
    solver.solve(kInfinity);
    EXPECT_NEAR(solver.lower_bound(), best, 1e-9 * best) << "round " << round;
  }
}

// A tolerance loses no more than it says.
TEST(ShapeSolver, ToleranceIsKept) {
  Random random{std::mt19937_64(6)};
  int lost = 0;
  for (int round = 0; round < 1000; ++round) {
    const cost::CostTables tables = random_tables(random, decoder_model(random.whole(2, 3)));
    const BruteForce brute(tables);
    const std::int64_t budget = brute.leanest + random.whole(0, 40);
    const double best = brute.best(budget);
    const LayerRanges ranges(tables.type_of_layer);
    const ShapeQuestion question(tables, ranges, {}, {budget, true});
    const StageLimits limits{.time_tolerance = random.real(0, 2),
                             .once_tolerance = random.real(0, 3)};
    ShapeSolver solver(question, -1);
    const ShapeAnswer answer = solver.solve(kInfinity, limits);
    ASSERT_TRUE(answer.found());
    EXPECT_GE(answer.step_ms, best * (1 - 1e-9));
    EXPECT_LE(answer.step_ms - answer.slack_ms, best * (1 + 1e-9)) << "round " << round;
    EXPECT_LE(solver.lower_bound(), best * (1 + 1e-9)) << "round " << round;
    lost += answer.step_ms > best * (1 + 1e-9) ? 1 : 0;
  }
  EXPECT_GT(lost, 20);
}

}  // namespace
}  // namespace galvatron::search
