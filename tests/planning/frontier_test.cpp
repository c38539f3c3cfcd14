#include "galvatron/planning/frontier.h"

#include <gtest/gtest.h>

#include "galvatron/search/report.h"

namespace galvatron::planning {
namespace {

struct Case {
  const char* model;
  const char* global_batch;
  int num_budgets;
};

PreparedSearch prepare(const char* model, const std::string& global_batch,
                       std::optional<Bytes> memory = {}, double simplicity = 0) {
  MachineKnowledge knowledge;
  knowledge.cluster = profiles::load_cluster("8xA100-40G");
  SearchRequest request;
  request.question.world_size = 4;
  request.question.memory = memory;
  request.question.memory_reserve = Bytes{0};
  request.global_batch = global_batch;
  request.num_runners_up = 0;
  request.simplicity = simplicity;
  return prepare_search(request, spec::load_model(model), knowledge);
}

// ms per sample of a search of its own, as it counts them; nullopt: nothing fits.
std::optional<double> searched(const PreparedSearch& prepared, Bytes memory) {
  search::SearchOptions options = prepared.options;
  options.memory = memory;
  options.simulate_within = 0;  // frontiers go by the formula
  const search::SearchResult result = search_best_plan(prepared.question.inputs(), options);
  if (!result.best) return std::nullopt;
  return result.certificate.value;
}

// All of gpt2-tiny's.
const Frontier& whole_frontier() {
  static const Frontier frontier = find_frontier(prepare("gpt2-tiny", "8"), {1000});
  return frontier;
}

class FrontierCases : public testing::TestWithParam<Case> {};

TEST_P(FrontierCases, EqualsASearchPerBudget) {
  const PreparedSearch prepared = prepare(GetParam().model, GetParam().global_batch);
  const Frontier frontier = find_frontier(prepared, {GetParam().num_budgets});
  ASSERT_GT(frontier.steps.size(), 3u);
  EXPECT_LE(frontier.num_searches, GetParam().num_budgets);
  for (std::size_t i = 0; i < frontier.steps.size(); ++i) {
    const FrontierStep& step = frontier.steps[i];
    const double time = step.ms_per_sample;
    SCOPED_TRACE(step.from.value);
    for (const Bytes budget : {step.from, step.to}) {
      EXPECT_NEAR(searched(prepared, budget).value(), time, 1e-9 * time);
    }
    const auto below = searched(prepared, step.from - Bytes{1});
    if (i == 0) {
      EXPECT_FALSE(below);
      continue;
    }
    ASSERT_TRUE(below);
    const bool touches = frontier.touches_next(i - 1);
    EXPECT_GE(*below, (touches ? 1 + 1e-9 : 1 - 1e-9) * time);
    EXPECT_LE(*below, frontier.steps[i - 1].ms_per_sample * (1 + 1e-9));
  }
  EXPECT_TRUE(frontier.least_is_exact);
  EXPECT_EQ(frontier.steps.back().to, frontier.end);
}

TEST_P(FrontierCases, BetweenItsRowsNothingIsFasterOrSlower) {
  const PreparedSearch prepared = prepare(GetParam().model, GetParam().global_batch);
  const Frontier frontier = find_frontier(prepared, {GetParam().num_budgets});
  constexpr int kBudgets = 20;
  const Bytes first = frontier.steps.front().from;
  const Bytes width = frontier.unlimited->from - first;
  for (int i = 0; i <= kBudgets; ++i) {
    const Bytes budget = first + Bytes{width.value * i / kBudgets};
    const double time = searched(prepared, budget).value();
    if (const auto at = frontier.step_at(budget)) {
      EXPECT_NEAR(frontier.steps[*at].ms_per_sample, time, 1e-9 * time);
      continue;
    }
    std::size_t above = 0;
    while (frontier.steps[above].from <= budget) ++above;
    EXPECT_FALSE(frontier.is_complete());
    EXPECT_GE(time, frontier.steps[above].ms_per_sample * (1 - 1e-9));
    EXPECT_LE(time, frontier.steps[above - 1].ms_per_sample * (1 + 1e-9));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, FrontierCases,
                         testing::Values(Case{"gpt2-tiny", "8", 400}, Case{"gpt2-tiny", "8", 12},
                                         Case{"gpt2-tiny", "4,6,8", 40}, Case{"t5-tiny", "8", 14},
                                         Case{"swin-tiny", "8", 14}));

TEST(Frontier, IsCompleteWhenThereAreSearchesEnough) {
  const Frontier& frontier = whole_frontier();
  EXPECT_TRUE(frontier.is_complete());
  EXPECT_LT(frontier.num_searches, 1000);
  for (std::size_t i = 0; i + 1 < frontier.steps.size(); ++i) {
    EXPECT_EQ(frontier.steps[i].to + Bytes{1}, frontier.steps[i + 1].from);
  }
  EXPECT_NE(frontier_notes(frontier).find("complete"), std::string::npos);
}

TEST(Frontier, SimplePlansAreWithinWhatSimplicityAllows) {
  const double simplicity = 0.01;
  const PreparedSearch exact = prepare("gpt2-tiny", "8");
  const Frontier frontier = find_frontier(prepare("gpt2-tiny", "8", {}, simplicity), {400});
  EXPECT_LT(frontier.steps.size(), whole_frontier().steps.size());
  for (const FrontierStep& step : frontier.steps) {
    for (const Bytes budget : {step.from, step.to}) {
      const double best = searched(exact, budget).value();
      EXPECT_GE(step.ms_per_sample, best * (1 - 1e-9));
      EXPECT_LE(step.ms_per_sample, best * (1 + 1.02 * simplicity));
      EXPECT_LE(step.bound, best * (1 + 1e-9));
    }
  }
}

TEST(Frontier, EndsAtTheMemoryThatWasGiven) {
  const Frontier& all = whole_frontier();
  EXPECT_EQ(all.end, 2 * all.asked);
  const Bytes budget = all.steps[all.steps.size() / 2].from;
  const Frontier part = find_frontier(prepare("gpt2-tiny", "8", budget), {1000});
  EXPECT_EQ(part.end, budget);
  EXPECT_EQ(part.steps.size(), all.steps.size() / 2 + 1);
  ASSERT_TRUE(part.unlimited);
  EXPECT_EQ(part.unlimited->ms_per_sample, all.steps.back().ms_per_sample);
}

TEST(Frontier, SaysTheLeastNeedWhenNothingFits) {
  const PreparedSearch prepared = prepare("gpt2-tiny", "8", kibibytes(64));
  const Frontier frontier = find_frontier(prepared, {});
  EXPECT_TRUE(frontier.steps.empty());
  const search::SearchResult alone = prepared.run();
  ASSERT_TRUE(frontier.closest_miss && alone.closest_miss);
  EXPECT_EQ(frontier.closest_miss->needed, alone.closest_miss->needed);
  EXPECT_EQ(frontier_notes(frontier), to_text(*alone.closest_miss, kibibytes(64)) + "\n");
  const Frontier more = find_frontier(prepare("gpt2-tiny", "8"), {});
  EXPECT_EQ(more.steps.front().from, alone.closest_miss->needed);
}

TEST(Frontier, ReadsAsTableAndJson) {
  const PreparedSearch prepared = prepare("gpt2-tiny", "8");
  const Frontier frontier = find_frontier(prepared, {});
  const OrderedJson json = frontier_to_json(frontier, prepared.question);
  const Json again = Json::parse(json.dump());
  ASSERT_EQ(again["steps"].size(), frontier.steps.size());
  EXPECT_EQ(again["steps"][0]["from_bytes"], frontier.steps[0].from.value);
  EXPECT_EQ(again["steps"][0]["step_ms"], frontier.steps[0].result.best->cost.step_time.value);
  const std::string csv = frontier_table(frontier, prepared.question).to_csv();
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'),
            static_cast<std::ptrdiff_t>(frontier.steps.size()) + 1);
}

}  // namespace
}  // namespace galvatron::planning
