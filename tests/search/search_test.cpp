#include "galvatron/search/search.h"

#include <gtest/gtest.h>

#include "galvatron/plan/check_plan.h"
#include "galvatron/profiles/cluster.h"
#include "galvatron/search/report.h"
#include "galvatron/search/solvers/tolerance.h"

#include "config_error.h"
#include "search/planning_example.h"
#include "search/search_testing.h"
#include "search/several_kinds.h"

namespace galvatron::search {
namespace {

TEST(Search, FindsAPlanThatFits) {
  const PlanningExample example("gpt2", 8, 16, 512);
  const SearchResult result = example.search(with_memory(gibibytes(8)));
  ASSERT_TRUE(result.best);
  EXPECT_LE(result.best->cost.peak_memory(), gibibytes(8));
  EXPECT_EQ(plan::check_plan(result.best->plan, example.model, {8, 512}), std::nullopt);
}

TEST(Search, SaysWhatTheLeanestPlanNeeds) {
  const PlanningExample example("gpt2-1.5b", 8, 16, 512);
  SearchOptions options = with_memory(mebibytes(1100));
  const SearchResult result = example.search(options);
  EXPECT_FALSE(result.best);
  ASSERT_TRUE(result.closest_miss);
  // With exactly that much there is a plan, with one byte less there is none.
  options.memory = result.closest_miss->needed;
  EXPECT_TRUE(example.search(options).best);
  options.memory.value -= 1;
  EXPECT_FALSE(example.search(options).best);
}

TEST(Search, AnOptimizerOfFewerStatesFitsWhereAdamWDoesNot) {
  PlanningExample example("gpt2-1.5b", 8, 16, 512);
  SearchOptions options = with_memory(mebibytes(1100));
  options.memory.value = example.search(options).closest_miss->needed.value - 1;
  EXPECT_FALSE(example.search(options).best);
  example.job.optimizer = &spec::find_optimizer("sgd");
  const SearchResult result = example.search(options);
  ASSERT_TRUE(result.best);
  EXPECT_LE(result.best->cost.peak_memory(), options.memory);
  EXPECT_EQ(search_to_json(result, options.memory)["prediction"]["optimizer"], "sgd");
}

// Over slow links gradients cross once a step instead of parameters twice a microbatch.
TEST(Search, ShardsWithinNodesWhereThatPays) {
  PlanningExample example("llama2-7b", 16, 32, 1024, 8);
  example.hardware.links["inter_node"].bandwidth_bytes_per_ms = 1.5e6;
  SearchOptions options = with_memory(gibibytes(60));
  allow(options, {"pp_degree=1", "tp_degree=1", "ulysses_degree=1"});
  const SearchResult free = example.search(options);
  ASSERT_TRUE(free.best);
  EXPECT_EQ(free.best->plan.layers[1].shard_degree, 8);
  allow(options, {"shard_degree=0"});
  const SearchResult all = example.search(options);
  ASSERT_TRUE(all.best);
  EXPECT_EQ(all.best->plan.layers[1].shard_degree, 0);
  EXPECT_LT(free.best->cost.step_time, all.best->cost.step_time);
}

// Few tokens and large matrices: parameters move more than activations, so they stay in a node.
TEST(Search, PutsTpAcrossNodesWhereThatPays) {
  const PlanningExample example("llama2-7b", 8, 8, 128, 4);
  SearchOptions options = with_memory(gibibytes(40));
  allow(options, {"pp_degree=1", "tp_degree=2", "ulysses_degree=1", "zero_stage=3"});
  const SearchResult free = example.search(options);
  ASSERT_TRUE(free.best);
  EXPECT_FALSE(free.best->plan.layers[1].tp_consecutive);
  EXPECT_EQ(free.certificate.gap(), 0);
  allow(options, {"tp_consecutive=true"});
  const SearchResult near = example.search(options);
  ASSERT_TRUE(near.best);
  EXPECT_LT(free.best->cost.step_time, near.best->cost.step_time);
}

TEST(Search, ForbiddenInterleavedPipelinesAreNotLookedAt) {
  const PlanningExample example("gpt2", 8, 32, 512);
  SearchOptions options = with_memory(gibibytes(8));
  const SearchResult all = example.search(options);
  add_constraint(options.space, "schedule=interleaved", false);
  const SearchResult without = example.search(options);
  ASSERT_TRUE(all.best && without.best);
  EXPECT_GT(all.certificate.interleaved, 0);
  EXPECT_EQ(without.certificate.interleaved, 0);
  EXPECT_LE(ms_per_sample(all), ms_per_sample(without));
}

// Deeper models of the same kinds: a plan, its proof, and stages that are not cut evenly.
TEST(Search, SolvesSeveralKindsOfLayers) {
  for (const spec::ModelSpec& model : {hierarchical_model(6), encoder_decoder_model(8)}) {
    const PlanningExample example(model, 8, 32, 256);
    SearchOptions options = with_memory(gibibytes(2));
    for (const char* pipelines : {"pp_degree>=1", "pp_degree>=2"}) {
      allow(options, {pipelines});
      const SearchResult result = example.search(options);
      ASSERT_TRUE(result.best) << model.name;
      EXPECT_EQ(result.certificate.gap(), 0) << model.name;
      EXPECT_EQ(plan::check_plan(result.best->plan, model, {8, 256}), std::nullopt);
      const std::string text = to_text(*result.best, options.memory);
      const bool hierarchical = model.name == "hierarchical";
      EXPECT_NE(text.find(hierarchical ? "x block" : "x encoder"), std::string::npos) << text;
      EXPECT_NE(text.find(hierarchical ? "embedding" : "target_embedding"), std::string::npos);
    }
  }
}

// Here a part that was looked into with the tolerance ends a little below the best plan: looking
// again and again brings no more.
TEST(Search, EndsWhereTheToleranceLeavesAGap) {
  const profiles::Cluster cluster = profiles::load_cluster("8xA100-40G");
  const spec::ModelSpec model = spec::load_model("llama-13b");
  const spec::JobSpec job{2048, 64, spec::Precision::kBf16};
  const profiles::DeviceSpec device = cluster.device(job.precision);
  const auto hardware = profiles::analytic_hardware_profile(cluster.spec, device, cluster.network);
  const auto profile =
      profiles::analytic_model_profile(model, job.seq_length, job.precision, device);
  SearchOptions options;
  options.memory = Bytes{38526720901};
  options.num_runners_up = 0;
  const SearchResult result = search_best_plan({model, job, hardware, profile}, options);
  ASSERT_TRUE(result.best);
  EXPECT_LE(result.certificate.gap(), 2e-4);
}

// A batch of so many samples has more microbatch counts than anybody can look at.
TEST(Search, LargeBatchesLeaveOutMicrobatchesThatCannotFit) {
  const PlanningExample example("gpt2-1.5b", 8, 1'000'000, 1024);
  const SearchOptions options = with_memory(gibibytes(16));
  const SearchResult result = example.search(options);
  ASSERT_TRUE(result.best);
  EXPECT_EQ(result.certificate.gap(), 0);
  EXPECT_GT(result.certificate.infeasible, 1000);
  int too_large = 0;
  for (const int count : {1, 2, 17, 400, 2000, 10'000, 100'000, 250'000, 1'000'000}) {
    SearchOptions one = options;
    one.space.num_microbatches.only = {count};
    one.closest_miss_below = {0};
    const SearchResult of_count = example.search(one);
    too_large += of_count.best ? 0 : 1;
    EXPECT_GE(ms_per_sample(of_count), ms_per_sample(result) * (1 - 1e-9)) << count;
  }
  EXPECT_GT(too_large, 2);
  EXPECT_LT(too_large, 9);
}

TEST(Search, RefusesBatchesThatNobodyCanCount) {
  const PlanningExample example("gpt2-tiny", 2, 8, 64);
  SearchOptions options = with_memory(gibibytes(16));
  options.global_batches = {8, 3'000'000};
  EXPECT_EQ(config_error_of([&] { example.search(options); }),
            "[search] --global-batch 3000000 must be at most 1000000");
}

TEST(Search, MoreMemoryIsNeverSlower) {
  const PlanningExample example("gpt2-1.5b", 8, 16, 1024);
  double before = kInfinity;
  int found = 0;
  for (std::int64_t mib = 3000; mib <= 20'000; mib += 1000) {
    const SearchResult result = example.search(with_memory(mebibytes(mib)));
    ASSERT_TRUE(result.best || found == 0) << mib;
    if (!result.best) continue;
    ++found;
    // A gap says how much of this is still open.
    EXPECT_LE(ms_per_sample(result), before * (1 + result.certificate.gap() + 1e-12)) << mib;
    EXPECT_EQ(result.certificate.gap(), 0) << mib;
    before = ms_per_sample(result);
  }
  EXPECT_GT(found, 10);
}

TEST(Search, MoreOptionsAreNeverWorse) {
  const PlanningExample example("gpt2", 8, 16, 512);
  const std::vector<Constraints> ever_wider = {
      {"tp_degree=1", "pp_degree=1", "ulysses_degree=1", "recompute=none", "zero_stage=0"},
      {"tp_degree=1", "pp_degree=1", "ulysses_degree=1", "recompute=none"},
      {"tp_degree=1", "pp_degree=1", "ulysses_degree=1"},
      {"tp_degree=1", "pp_degree=1"},
      {"tp_degree<=2", "pp_degree<=2"},
      {"tp_degree<=4"},
      {}};
  for (const std::int64_t mib : {1800, 2200, 4000}) {
    double before = kInfinity;
    for (const auto& constraints : ever_wider) {
      SearchOptions options = with_memory(mebibytes(mib));
      allow(options, constraints);
      const double now = ms_per_sample(example.search(options));
      EXPECT_LE(now, before * (1 + 1e-12)) << mib;
      before = now;
    }
    EXPECT_LT(before, kInfinity);
  }
}

TEST(Search, AChoiceOfBatchesIsAsGoodAsItsBest) {
  const PlanningExample example("gpt2", 8, 8, 512);
  SearchOptions options = with_memory(gibibytes(3));
  double best = kInfinity;
  for (const std::int64_t batch : {8, 12, 16}) {
    options.global_batches = {batch};
    PlanningExample one = example;
    one.job.global_batch = batch;
    best = std::min(best, ms_per_sample(one.search(options)));
  }
  options.global_batches = {8, 12, 16};
  EXPECT_NEAR(ms_per_sample(example.search(options)), best, 1e-9 * best);
}

TEST(Search, TheSameQuestionHasTheSameAnswer) {
  const PlanningExample example("gpt2-1.5b", 8, 16, 1024);
  SearchOptions options = with_memory(gibibytes(6));
  options.num_runners_up = 3;
  const SearchResult one = example.search(options), two = example.search(options);
  ASSERT_TRUE(one.best);
  EXPECT_EQ(plan::plan_to_json(one.best->plan), plan::plan_to_json(two.best->plan));
  EXPECT_EQ(one.certificate.nodes, two.certificate.nodes);
  ASSERT_EQ(one.runners_up.size(), 3u);
  for (std::size_t i = 0; i < one.runners_up.size(); ++i) {
    EXPECT_EQ(plan::plan_to_json(one.runners_up[i].plan),
              plan::plan_to_json(two.runners_up[i].plan));
    EXPECT_GE(one.runners_up[i].cost.step_time, one.best->cost.step_time);
  }
}

// Here the formula says too little of deep pipelines.
TEST(Search, TakesThePlanWhoseSimulatedStepIsShortest) {
  const profiles::Cluster cluster = profiles::load_cluster("4096xH100");
  const spec::ModelSpec model = spec::load_model("gpt-1t");
  const spec::JobSpec job{2048, 64, spec::Precision::kBf16};
  const profiles::DeviceSpec device = cluster.device(job.precision);
  const auto hardware = profiles::analytic_hardware_profile(cluster.spec, device, cluster.network);
  const auto profile =
      profiles::analytic_model_profile(model, job.seq_length, job.precision, device);
  const auto search = [&](double within) {
    SearchOptions options = with_memory(gibibytes(72));
    options.simulate_within = within;
    options.num_runners_up = 3;
    return search_best_plan({model, job, hardware, profile}, options);
  };
  const SearchResult formula = search(0), both = search(0.05);
  ASSERT_TRUE(formula.best && both.best && both.by_formula);
  EXPECT_FALSE(formula.by_formula);
  EXPECT_EQ(formula.certificate.simulated, 0);
  EXPECT_GT(both.certificate.simulated, 1);
  EXPECT_EQ(plan::plan_to_json(both.best_by_formula().plan),
            plan::plan_to_json(formula.best->plan));
  EXPECT_LT(both.best->simulated_ms_per_sample(), formula.best->simulated_ms_per_sample());
  EXPECT_GT(both.best->ms_per_sample(), formula.best->ms_per_sample());
  EXPECT_LE(both.best->cost.peak_memory(), gibibytes(72));
  EXPECT_EQ(plan::check_plan(both.best->plan, model, {4096, 2048}), std::nullopt);
  // What was proven is of the formula's best.
  EXPECT_EQ(both.certificate.value, formula.certificate.value);
  EXPECT_EQ(both.certificate.lower_bound, formula.certificate.lower_bound);
  EXPECT_EQ(both.certificate.simulated_value, both.best->simulated_ms_per_sample());
  EXPECT_EQ(both.certificate.simulated_of_formula, formula.best->simulated_ms_per_sample());
  for (const FoundPlan& other : both.runners_up) {
    EXPECT_GE(other.simulated_ms_per_sample(), both.best->simulated_ms_per_sample());
    EXPECT_NE(plan::plan_to_json(other.plan), plan::plan_to_json(both.best->plan));
  }
}

TEST(Search, RunnersUpDoNotChangeWhatIsChosen) {
  const profiles::Cluster cluster = profiles::load_cluster("8xA100-40G");
  const spec::ModelSpec model = spec::load_model("llama2-13b");
  const profiles::DeviceSpec device = cluster.device(spec::Precision::kBf16);
  const auto hardware = profiles::analytic_hardware_profile(cluster.spec, device, cluster.network);
  for (const std::int64_t length : {1000, 2048}) {
    const spec::JobSpec job{length, 64, spec::Precision::kBf16};
    const auto profile = profiles::analytic_model_profile(model, length, job.precision, device);
    for (const std::int64_t gib : {24, 30, 36}) {
      SearchOptions options;
      options.memory = gibibytes(gib);
      const SearchResult with = search_best_plan({model, job, hardware, profile}, options);
      options.num_runners_up = 0;
      const SearchResult without = search_best_plan({model, job, hardware, profile}, options);
      ASSERT_EQ(with.best.has_value(), without.best.has_value()) << gib;
      if (!with.best) continue;
      EXPECT_EQ(plan::plan_to_json(with.best->plan), plan::plan_to_json(without.best->plan))
          << length << " tokens, " << gib << " GiB";
    }
  }
}

TEST(Search, TheSimulationNeverTakesAWorsePlan) {
  for (const std::int64_t batch : {8, 24}) {
    const PlanningExample example("gpt2-1.5b", 8, batch, 1024, 4);
    for (const std::int64_t gib : {5, 8, 14, 40}) {
      SearchOptions options = with_memory(gibibytes(gib));
      const SearchResult formula = example.search(options);
      options.simulate_within = 0.1;
      const SearchResult both = example.search(options);
      ASSERT_EQ(both.best.has_value(), formula.best.has_value()) << gib;
      if (!both.best) continue;
      EXPECT_LE(both.best->simulated_ms_per_sample(), formula.best->simulated_ms_per_sample());
      EXPECT_EQ(both.certificate.value, formula.certificate.value);
      EXPECT_LE(both.best->cost.peak_memory(), gibibytes(gib));
    }
  }
}

TEST(BudgetSearch, AnswersAsASearchPerBudgetInAnyOrder) {
  const PlanningExample example("gpt2", 8, 16, 512);
  const cost::CostInputs inputs = example.inputs();
  BudgetSearch budgets(inputs, with_memory(Bytes{1}));
  for (const std::int64_t mib : {2000, 900, 8000, 300, 2000}) {
    const SearchResult alone = example.search(with_memory(mebibytes(mib)));
    const SearchResult shared = budgets.best_plan(mebibytes(mib));
    EXPECT_EQ(shared.best.has_value(), alone.best.has_value()) << mib;
    if (!alone.best) {
      EXPECT_EQ(shared.closest_miss->needed, alone.closest_miss->needed);
      continue;
    }
    EXPECT_EQ(plan_to_text(shared.best->plan), plan_to_text(alone.best->plan)) << mib;
    EXPECT_EQ(shared.certificate.candidates, alone.certificate.candidates);
  }
}

TEST(BudgetSearch, FindsOnlyWhatIsFaster) {
  const PlanningExample example("gpt2", 8, 16, 512);
  const cost::CostInputs inputs = example.inputs();
  BudgetSearch budgets(inputs, with_memory(Bytes{1}));
  const double best = ms_per_sample(budgets.best_plan(mebibytes(2000)));
  const SearchResult slower = budgets.best_plan(mebibytes(2000), best * 1.01);
  EXPECT_NEAR(ms_per_sample(slower), best, 1e-9 * best);
  const SearchResult none = budgets.best_plan(mebibytes(2000), best * (1 - 1e-9));
  EXPECT_FALSE(none.best);
  EXPECT_FALSE(none.closest_miss);
  EXPECT_EQ(none.certificate.gap(), 0);
  EXPECT_TRUE(budgets.best_plan(mebibytes(2000)).best);
}

TEST(BudgetSearch, LooksForNoMissAboveAKnownNeed) {
  const PlanningExample example("gpt2", 8, 16, 512);
  const cost::CostInputs inputs = example.inputs();
  BudgetSearch budgets(inputs, with_memory(Bytes{1}));
  const Bytes needed = budgets.best_plan(Bytes{1}).closest_miss->needed;
  for (const auto& [below, found] :
       {std::pair(needed + Bytes{1}, true), std::pair(needed, false), std::pair(Bytes{0}, false)}) {
    budgets.look_for_closest_miss_below(below);
    const SearchResult result = budgets.best_plan(Bytes{1});
    EXPECT_FALSE(result.best);
    EXPECT_EQ(result.closest_miss.has_value(), found);
    if (found) {
      EXPECT_EQ(result.closest_miss->needed, needed);
    }
  }
}

TEST(Search, RefusesWhatNoPlanCanMeet) {
  const PlanningExample example("gpt2-tiny", 4, 4, 64);
  const auto message = [&](auto change) {
    SearchOptions options = with_memory(gibibytes(1));
    change(options);
    return config_error_of([&] { example.search(options); });
  };
  EXPECT_NE(message([](auto& one) { one.world_size = -4; }).find("--world-size -4"),
            std::string::npos);
  EXPECT_NE(message([](auto& one) { one.memory = {}; }).find("--memory must be positive"),
            std::string::npos);
  EXPECT_NE(message([](auto& one) { one.global_batches = {0}; }).find("--global-batch 0"),
            std::string::npos);
  PlanningExample longer = example;
  longer.job.seq_length = 4096;
  EXPECT_NE(config_error_of([&] {
              longer.search(with_memory(gibibytes(1)));
            }).find("--seq-length 4096 is outside 1 .. 128"),
            std::string::npos);
  // No layer has 3 or 5 as a divisor of its ranks.
  EXPECT_NE(message([](auto& one) { allow(one, {"tp_degree=3"}); }).find("leave no plan"),
            std::string::npos);
  EXPECT_NE(message([](auto& one) { allow(one, {"pp_degree=5"}); }).find("leave no plan"),
            std::string::npos);
  // More microbatches than samples.
  EXPECT_NE(message([](auto& one) { allow(one, {"num_microbatches=64"}); }).find("leave no plan"),
            std::string::npos);
  EXPECT_NE(message([](auto& one) {
              add_constraint(one.space, "schedule=gpipe,1f1b,interleaved", false);
            }).find("no schedule"),
            std::string::npos);
}

}  // namespace
}  // namespace galvatron::search
