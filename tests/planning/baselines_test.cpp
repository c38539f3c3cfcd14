#include "galvatron/planning/baselines.h"

#include <algorithm>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "galvatron/plan/check_plan.h"
#include "galvatron/planning/search_request.h"

#include "search/planning_example.h"

namespace galvatron::planning {
namespace {

using plan::Recompute;
using search::PlanningExample;

const Baseline& named(const std::vector<Baseline>& baselines, const std::string& name) {
  return *std::find_if(baselines.begin(), baselines.end(),
                       [&](const Baseline& one) { return one.name == name; });
}

// Every valid plan of one strategy, priced by the cost model.
class EveryPlan {
 public:
  explicit EveryPlan(const PlanningExample& example) : example_(example) {}

  void add(const plan::LayerStrategy& strategy, int pp_degree, int num_microbatches,
           plan::ScheduleKind schedule = plan::ScheduleKind::k1F1B, int stages_per_rank = 1) {
    const plan::Plan plan =
        plan::uniform_plan(example_.model, example_.job, example_.hardware.world_size, strategy,
                           pp_degree, num_microbatches, schedule, stages_per_rank);
    const int world = example_.hardware.world_size;
    if (plan::check_plan(plan, example_.model, {world, example_.job.seq_length})) return;
    const cost::PlanCost cost = cost::estimate(example_.inputs(), plan);
    plans_.emplace_back(cost.peak_memory(), cost.step_time.value);
  }

  void expect_equals(const Baseline& baseline, Bytes memory) const {
    ASSERT_FALSE(plans_.empty());
    double best_ms = std::numeric_limits<double>::infinity();
    for (const auto& [peak, ms] : plans_) {
      if (peak <= memory) best_ms = std::min(best_ms, ms);
    }
    EXPECT_EQ(baseline.fits(), best_ms < std::numeric_limits<double>::infinity()) << baseline.name;
    if (baseline.fits()) {
      EXPECT_NEAR(baseline.found.cost.step_time.value, best_ms, 1e-9 * best_ms) << baseline.name;
      EXPECT_LE(baseline.found.cost.peak_memory(), memory) << baseline.name;
    } else {
      const Bytes least = std::min_element(plans_.begin(), plans_.end())->first;
      EXPECT_EQ(baseline.missing, least - memory) << baseline.name;
    }
  }

 private:
  const PlanningExample& example_;
  std::vector<std::pair<Bytes, double>> plans_;  // peak and ms of each
};

std::vector<int> all_counts(const PlanningExample& example) {
  return search::microbatch_counts({}, example.job.global_batch);
}

void add_megatron(const PlanningExample& example, EveryPlan& every) {
  const int node = example.hardware.ranks_per_node;
  const int nodes = example.hardware.world_size / node, layers = example.model.num_layers();
  plan::LayerStrategy strategy;
  strategy.zero_stage = 1;
  for (const int pp : {1, 2, 4, 8}) {
    if (nodes % pp != 0) continue;
    for (const int tp : {1, 2, 4, 8}) {
      if (node % tp != 0) continue;
      strategy.tp_degree = tp;
      for (const Recompute recompute : enum_values<Recompute>()) {
        strategy.recompute = recompute;
        for (const int count : all_counts(example)) {
          every.add(strategy, pp, count);
          for (int v = 2; pp > 1 && v * pp <= layers; ++v) {
            every.add(strategy, pp, count, plan::ScheduleKind::kInterleaved, v);
          }
        }
      }
    }
  }
}

void expect_equal_to_brute_force(const PlanningExample& example, const std::vector<int>& gib) {
  std::vector<std::pair<std::string, EveryPlan>> all;
  const std::tuple<const char*, int, Recompute> data_parallel[] = {
      {"DDP", 0, Recompute::kNone},
      {"ZeRO-2", 2, Recompute::kNone},
      {"ZeRO-3", 3, Recompute::kNone},
      {"ZeRO-3, recompute", 3, Recompute::kFull}};
  for (const auto& [name, zero, recompute] : data_parallel) {
    EveryPlan& every = all.emplace_back(name, example).second;
    plan::LayerStrategy strategy;
    strategy.zero_stage = zero;
    strategy.recompute = recompute;
    for (int count = 1; count <= example.job.global_batch; ++count) every.add(strategy, 1, count);
  }
  add_megatron(example, all.emplace_back("Megatron", example).second);
  for (const int budget : gib) {
    SCOPED_TRACE(budget);
    const std::vector<Baseline> baselines = find_baselines(example.inputs(), gibibytes(budget));
    for (const auto& [name, every] : all)
      every.expect_equals(named(baselines, name), gibibytes(budget));
  }
}

TEST(Baselines, EqualEveryPlanOfTheirsOnOneNode) {
  const PlanningExample example("llama2-7b", 8, 24, 1024);
  expect_equal_to_brute_force(example, {12, 20, 24, 40, 80, 160});
}

TEST(Baselines, EqualEveryPlanOfTheirsAcrossNodes) {
  const PlanningExample example("llama2-7b", 16, 40, 1024, 4);
  expect_equal_to_brute_force(example, {8, 16, 30, 80});
}

TEST(Baselines, EqualEveryPlanOfTheirsForBatchesThatDoNotDivide) {
  for (const std::int64_t batch : {1, 7, 30, 53}) {
    SCOPED_TRACE(batch);
    expect_equal_to_brute_force(PlanningExample("llama2-7b", 8, batch, 512, 2), {24});
  }
}

TEST(Baselines, NoneIsFasterThanTheSearch) {
  const PlanningExample example("llama2-7b", 16, 64, 2048);
  for (const int gib : {16, 24, 40, 80}) {
    search::SearchOptions options;
    options.memory = gibibytes(gib);
    options.simplicity = 0;
    const search::SearchResult result = example.search(options);
    ASSERT_TRUE(result.best);
    const std::vector<Baseline> baselines = find_baselines(example.inputs(), options.memory);
    EXPECT_EQ(baselines.size(), 5u);
    for (const Baseline& one : baselines) {
      EXPECT_TRUE(!one.fits() ||
                  one.found.ms_per_sample() >= result.best->ms_per_sample() * (1 - 1e-9))
          << one.name << " in " << gib << " GiB";
    }
  }
}

TEST(Baselines, HeadsBoundWhatMegatronTakes) {
  // Of 8 ranks a TP degree that divides 12 heads.
  const PlanningExample example("gpt2", 8, 8, 512);
  const Baseline megatron = find_baselines(example.inputs(), gibibytes(1)).back();
  EXPECT_LE(megatron.strategy.tp_degree, 4);
}

TEST(Baselines, TextSaysWhatDoesNotFitAndWhatIsGained) {
  const PlanningExample example("llama2-7b", 8, 64, 2048);
  search::SearchOptions options;
  options.memory = gibibytes(40);
  const search::SearchResult result = example.search(options);
  const std::vector<Baseline> baselines = find_baselines(example.inputs(), options.memory);
  const std::string text = to_text(baselines, *result.best);
  const Baseline& ddp = named(baselines, "DDP");
  ASSERT_FALSE(ddp.fits());
  EXPECT_NE(text.find("does not fit: +" + galvatron::to_text(ddp.missing)), std::string::npos)
      << text;
  const Baseline* best = best_baseline(baselines);
  ASSERT_NE(best, nullptr);
  EXPECT_NE(text.find("more tokens/s than the best of these, " + best->name), std::string::npos)
      << text;
  const OrderedJson json = baselines_to_json(baselines, *result.best);
  EXPECT_EQ(json["best"], best->name);
  EXPECT_NEAR(json["gain"].get<double>(),
              best->found.ms_per_sample() / result.best->ms_per_sample() - 1, 1e-12);
  EXPECT_EQ(json["plans"].size(), baselines.size());
  EXPECT_EQ(json["plans"][0]["missing_bytes"], ddp.missing.value);
}

TEST(Baselines, OneThatConstraintsExcludeCanBeFaster) {
  const PlanningExample example("llama2-7b", 8, 64, 2048);
  search::SearchOptions options;
  options.memory = gibibytes(80);
  search::add_constraint(options.space, "tp_degree=8", true);
  const search::SearchResult result = example.search(options);
  const std::vector<Baseline> baselines = find_baselines(example.inputs(), options.memory);
  ASSERT_LT(best_baseline(baselines)->found.ms_per_sample(), result.best->ms_per_sample());
  const std::string text = to_text(baselines, *result.best);
  EXPECT_NE(text.find("less time than the plan found; it is outside the space searched"),
            std::string::npos)
      << text;
}

TEST(Baselines, NothingIsGainedWhereNothingElseFits) {
  const PlanningExample example("llama2-7b", 8, 64, 2048);
  search::SearchOptions options;
  options.memory = gibibytes(200);
  const search::SearchResult result = example.search(options);
  const std::vector<Baseline> none = find_baselines(example.inputs(), gibibytes(4));
  EXPECT_EQ(best_baseline(none), nullptr);
  EXPECT_NE(to_text(none, *result.best).find("none of these does"), std::string::npos);
  // Where the search found none either, and where only its constraints leave none.
  const std::string alone = to_text(none);
  EXPECT_NE(alone.find("does not fit: +" + galvatron::to_text(none.front().missing)),
            std::string::npos);
  EXPECT_TRUE(alone.ends_with("  none of these fits either\n")) << alone;
  const std::vector<Baseline> some = find_baselines(example.inputs(), options.memory);
  EXPECT_TRUE(to_text(some).ends_with(" fits; it is outside the space searched\n"));
  EXPECT_TRUE(baselines_to_json(none, *result.best)["gain"].is_null());
}

}  // namespace
}  // namespace galvatron::planning
