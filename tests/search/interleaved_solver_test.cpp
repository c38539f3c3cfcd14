#include "galvatron/search/solvers/interleaved_solver.h"

#include <numeric>

#include <gtest/gtest.h>

#include "galvatron/search/interleaved_candidate.h"
#include "galvatron/search/solvers/tolerance.h"

#include "search/random_tables.h"

namespace galvatron::search {
namespace {

constexpr auto kNoLimit = std::numeric_limits<std::int64_t>::max();

struct Picked {
  double step_ms = 0;
  std::int64_t bytes = 0;
};

// One candidate for each type, priced by the cost tables' own formulas.
Picked price(const cost::CostTables& tables, const std::vector<int>& layout,
             const std::vector<int>& of_type) {
  std::vector<int> choice;
  for (const int type : tables.type_of_layer) {
    choice.push_back(of_type[static_cast<std::size_t>(type)]);
  }
  const int num_stages = tables.shape.num_stages();
  const auto layers_of = [&](int stage) {
    const auto begin = layout.begin(), here = begin + stage;
    const std::int64_t first = std::accumulate(begin, here, 0);
    return Range{first, first + *here};
  };
  std::vector<cost::StageNumbers> numbers;
  for (int stage = 0; stage < num_stages; ++stage) {
    numbers.push_back(cost::stage_numbers(tables, choice, layers_of(stage), stage));
  }
  Picked out{cost::pipeline_time_ms(tables.shape, numbers), 0};
  for (int rank = 0; rank < tables.shape.pp_degree; ++rank) {
    std::vector<Range> stages;
    for (int s = rank; s < num_stages; s += tables.shape.pp_degree) stages.push_back(layers_of(s));
    const auto moments = cost::flight_moments(tables.shape, rank);
    out.bytes =
        std::max(out.bytes, cost::rank_memory_peak(tables, choice, stages, moments).total());
  }
  return out;
}

bool is_allowed(const cost::CostTables& tables, const std::vector<int>& of_type) {
  const plan::LayerStrategy* first = nullptr;
  for (const int type : tables.tied_types) {
    const auto t = static_cast<std::size_t>(type);
    const plan::LayerStrategy& one = tables.candidates[t][static_cast<std::size_t>(of_type[t])];
    if (first && (first->tp_degree != one.tp_degree || first->zero_stage != one.zero_stage)) {
      return false;
    }
    first = &one;
  }
  return true;
}

std::vector<Picked> all_choices(const cost::CostTables& tables, const std::vector<int>& layout) {
  std::vector<Picked> out;
  std::vector<int> of_type(tables.cost.size(), 0);
  while (true) {
    if (is_allowed(tables, of_type)) out.push_back(price(tables, layout, of_type));
    std::size_t t = 0;
    while (t < of_type.size() && ++of_type[t] == static_cast<int>(tables.cost[t].size())) {
      of_type[t++] = 0;
    }
    if (t == of_type.size()) return out;
  }
}

TEST(InterleavedSolver, EqualsEveryChoice) {
  constexpr std::uint64_t kSeed = 21;
  Random random{std::mt19937_64(kSeed)};
  int found = 0, none = 0, even = 0, beside = 0;
  for (int round = 0; round < 400; ++round) {
    const int layers = random.whole(4, 10);
    RandomModel model = round % 2 == 0 ? decoder_model(layers - 2) : mixed_model(random, layers, 4);
    cost::CostTables tables = random_tables(random, model);
    const int p = random.whole(2, layers / 2);
    tables.shape = {p, 4, random.whole(1, 7), plan::ScheduleKind::kInterleaved,
                    random.whole(2, layers / p)};
    SCOPED_TRACE(testing::Message() << "seed " << kSeed << ", round " << round);
    const int num_stages = tables.shape.num_stages();
    std::vector<int> layout = stages_beside_ends(layers, num_stages);
    (layout.empty() ? even : beside)++;
    if (layout.empty()) layout = plan::even_stages(layers, num_stages);
    const std::vector<Picked> all = all_choices(tables, layout);
    std::int64_t leanest = std::numeric_limits<std::int64_t>::max(), fullest = 0;
    for (const Picked& one : all) {
      leanest = std::min(leanest, one.bytes);
      fullest = std::max(fullest, one.bytes);
    }
    if (all.empty()) continue;
    const std::int64_t budget =
        leanest - 1 + random.whole(0, static_cast<int>(fullest - leanest) + 1);
    double best = kInfinity;
    for (const Picked& one : all) {
      if (one.bytes <= budget) best = std::min(best, one.step_ms);
    }
    InterleavedSolver shape(tables, tables.shape, layout, budget);
    const std::vector<int> choice = shape.solve(kInfinity, kNoLimit);
    ASSERT_EQ(choice.empty(), best == kInfinity);
    ++(choice.empty() ? none : found);
    if (!choice.empty()) {
      EXPECT_DOUBLE_EQ(shape.step_ms(), best);
      // Nothing is below its own best.
      EXPECT_TRUE(
          InterleavedSolver(tables, tables.shape, layout, budget).solve(best, kNoLimit).empty());
    }
    EXPECT_EQ(
        InterleavedSolver(tables, tables.shape, layout, budget).least_bytes(leanest + 1, kNoLimit),
        leanest);
    EXPECT_EQ(
        InterleavedSolver(tables, tables.shape, layout, budget).least_bytes(leanest, kNoLimit),
        leanest);
  }
  EXPECT_GT(even, 100);
  EXPECT_GT(beside, 30);
  EXPECT_GT(found, 100);
  EXPECT_GT(none, 3);
}

}  // namespace
}  // namespace galvatron::search
