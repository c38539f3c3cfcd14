#include "galvatron/search/simplify.h"

#include <gtest/gtest.h>

#include "search/search_testing.h"

namespace galvatron::search {
namespace {

SearchResult search_with(const PlanningExample& example, Bytes memory, double simplicity) {
  SearchOptions options = with_memory(memory);
  options.simplicity = simplicity;
  return example.search(options);
}

TEST(Simplify, AllowsNoMoreThanItSaysAndProvesTheSame) {
  const PlanningExample example("gpt2-1.5b", 8, 16, 1024);
  int simpler = 0;
  for (std::int64_t mib = 4000; mib <= 10'000; mib += 200) {
    const SearchResult best = search_with(example, mebibytes(mib), 0);
    if (!best.best) continue;
    for (const double simplicity : {1e-3, 1e-2}) {
      const SearchResult simple = search_with(example, mebibytes(mib), simplicity);
      ASSERT_TRUE(simple.best);
      EXPECT_LE(ms_per_sample(simple), ms_per_sample(best) * (1 + simplicity) * (1 + 1e-9));
      EXPECT_GE(ms_per_sample(simple), ms_per_sample(best) * (1 - 1e-9));
      EXPECT_LE(simple.best->cost.peak_memory(), mebibytes(mib));
      const Certificate& certificate = simple.certificate;
      EXPECT_EQ(certificate.value, best.certificate.value);
      EXPECT_EQ(certificate.lower_bound, best.certificate.lower_bound);
      EXPECT_EQ(certificate.runs, simple.best->num_runs());
      EXPECT_LE(certificate.runs, best.best->num_runs());
      EXPECT_EQ(certificate.runs_before, best.best->num_runs());
      EXPECT_NEAR(certificate.simplicity_cost, ms_per_sample(simple) / ms_per_sample(best) - 1,
                  1e-9);
      const bool said = to_text(certificate).find("simplified: ") != std::string::npos;
      EXPECT_EQ(said, certificate.runs < certificate.runs_before);
      simpler += said ? 1 : 0;
    }
  }
  EXPECT_GE(simpler, 5);
}

// Two strategies that take turns in one stage: what is left depends on what a step may take.
struct Turns {
  cost::CostTables tables;
  std::vector<int> choice{0, 1, 0, 1, 0, 1};

  Turns() {
    tables.shape = {1, 1, 4};
    tables.type_of_layer.assign(choice.size(), 0);
    tables.candidates = {{plan::LayerStrategy{}, plan::LayerStrategy{}}};
    tables.candidates[0][1].recompute = plan::Recompute::kFull;
    cost::LayerCost fast, lean;
    fast.forward_ms = 1, fast.backward_ms = 2, fast.activation_bytes = 10;
    lean.forward_ms = 1, lean.backward_ms = 3, lean.activation_bytes = 1;
    tables.cost = {{fast, lean}};
    tables.layouts.emplace_back();
    tables.borders = {{{0.0}, 0}};
    tables.border_behind = {0};
  }
  std::vector<int> with(double more_ms, std::int64_t budget) const {
    const ChoicePricer pricer(tables, {6}, budget);
    return simplify_choice(pricer, choice, pricer.step_ms(choice) + more_ms);
  }
};

TEST(Simplify, MergesRunsAsFarAsTimeAndMemoryAllow) {
  const Turns turns;
  const std::int64_t tight = 33;  // of three fast layers and three lean ones
  const ChoicePricer pricer(turns.tables, {6}, tight);
  EXPECT_TRUE(pricer.fits(turns.choice, 0));
  EXPECT_EQ(count_runs(pricer, turns.choice), 6);
  EXPECT_EQ(count_runs(pricer, turns.with(0, tight)), 2);   // side by side, for nothing
  EXPECT_EQ(count_runs(pricer, turns.with(11, tight)), 2);  // three more that recompute: 12 ms
  EXPECT_EQ(turns.with(12, tight), (std::vector<int>(6, 1)));
  EXPECT_EQ(turns.with(0, 60), (std::vector<int>(6, 0)));  // with the memory for it
}

// Of three equal stages one differs.
TEST(Simplify, MakesStagesAlike) {
  Turns turns;
  turns.tables.shape = {3, 1, 4};
  turns.choice = {1, 1, 0, 0, 1, 1};
  const ChoicePricer pricer(turns.tables, {2, 2, 2}, 1000);
  const double step_ms = pricer.step_ms(turns.choice);
  EXPECT_EQ(simplify_choice(pricer, turns.choice, step_ms * 1.2), (std::vector<int>(6, 1)));
  EXPECT_EQ(simplify_choice(pricer, turns.choice, step_ms), (std::vector<int>(6, 0)));
}

}  // namespace
}  // namespace galvatron::search
