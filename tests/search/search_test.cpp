#include "galvatron/search/search.h"

#include <gtest/gtest.h>

#include "galvatron/plan/check_plan.h"
#include "galvatron/search/report.h"
#include "galvatron/search/solvers/tolerance.h"

#include "config_error.h"
#include "search/planning_example.h"
#include "search/several_kinds.h"

namespace galvatron::search {
namespace {

SearchOptions with_memory(Bytes memory) {
  SearchOptions options;
  options.memory = memory;
  options.num_runners_up = 0;
  return options;
}

using Constraints = std::vector<const char*>;
void allow(SearchOptions& options, const Constraints& constraints) {
  for (const char* text : constraints) add_constraint(options.space, text, true);
}

double ms_per_sample(const SearchResult& result) {
  if (!result.best) return kInfinity;
  return result.best->cost.step_time.value / static_cast<double>(result.best->plan.global_batch);
}

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

// ZeRO over the part of the replicas that fills a node (search_space.h).
void add_sharded_groups(plan::LayerStrategy strategy, int ranks, int ranks_per_node,
                        std::vector<plan::LayerStrategy>& row) {
  const int replicas = ranks / strategy.tp_degree;
  const int stride = strategy.tp_consecutive ? strategy.tp_degree : 1;
  for (int shards = 2; shards < replicas && strategy.zero_stage > 0; ++shards) {
    strategy.shard_degree = shards;
    if (replicas % shards == 0 && shards * stride == ranks_per_node) row.push_back(strategy);
  }
}

// Every strategy of a stage's layers that the options allow. Where TP takes all ranks of a block
// only the lowest ZeRO stage is in the space (search_space.h).
std::vector<std::vector<plan::LayerStrategy>> strategies_of(const PlanningExample& example,
                                                            const SearchOptions& options,
                                                            int ranks) {
  std::vector<std::vector<plan::LayerStrategy>> out;
  for (const spec::LayerSpec& layer : example.model.layers) {
    auto& row = out.emplace_back();
    const bool block = layer.kind == spec::LayerKind::kBlock;
    for (int tp = 1; tp <= ranks; ++tp) {
      for (int ulysses = 1; tp * ulysses <= ranks; ++ulysses) {
        for (int zero = 0; zero < 4; ++zero) {
          for (int way = 0; way < 6; ++way) {
            const auto recompute = static_cast<plan::Recompute>(way / 2);
            const plan::LayerStrategy one{.tp_degree = tp,
                                          .ulysses_degree = ulysses,
                                          .zero_stage = zero,
                                          .recompute = recompute,
                                          .tp_consecutive = way % 2 == 0};
            const SearchSpace& space = options.space;
            const bool inside = space.allows(&plan::LayerStrategy::tp_degree, tp) &&
                                space.allows(&plan::LayerStrategy::ulysses_degree, ulysses) &&
                                space.allows(&plan::LayerStrategy::zero_stage, zero) &&
                                (block ? space.allows(&plan::LayerStrategy::recompute, recompute)
                                       : recompute == plan::Recompute::kNone);
            const bool whole = ranks == 1 || (block && tp == ranks);
            int lowest = 0;
            while (!space.allows(&plan::LayerStrategy::zero_stage, lowest)) ++lowest;
            if (!inside || (whole && zero > lowest)) continue;
            if (plan::check_layer_strategy(one, layer, ranks)) continue;
            row.push_back(one);
            add_sharded_groups(one, ranks, example.hardware.ranks_per_node, row);
          }
        }
      }
    }
  }
  return out;
}

// Every way to pick one of each row.
template <typename Visit>
void all_layers(const std::vector<std::vector<plan::LayerStrategy>>& rows, Visit visit) {
  std::vector<std::size_t> picked(rows.size(), 0);
  std::vector<plan::LayerStrategy> layers(rows.size());
  while (true) {
    for (std::size_t i = 0; i < rows.size(); ++i) layers[i] = rows[i][picked[i]];
    visit(layers);
    std::size_t i = 0;
    while (i < rows.size() && ++picked[i] == rows[i].size()) picked[i++] = 0;
    if (i == rows.size()) return;
  }
}

template <typename Visit>
void all_stage_sizes(int layers, int stages, std::vector<int> sizes, Visit visit) {
  if (stages == 1) {
    sizes.push_back(layers);
    return visit(sizes);
  }
  for (int size = 1; size <= layers - (stages - 1); ++size) {
    auto more = sizes;
    more.push_back(size);
    all_stage_sizes(layers - size, stages - 1, more, visit);
  }
}

struct ScoredPlan {
  double step_ms = 0;
  Bytes peak;
};

// Nothing when the plan is not valid.
std::optional<ScoredPlan> score(const PlanningExample& example, int world_size,
                                int num_microbatches, const plan::Pipeline& pipeline,
                                const std::vector<plan::LayerStrategy>& layers) {
  plan::Plan plan;
  plan.model = example.model.name;
  plan.world_size = world_size;
  plan.global_batch = example.job.global_batch;
  plan.num_microbatches = num_microbatches;
  plan.precision = example.job.precision;
  plan.pipeline = pipeline;
  plan.layers = layers;
  if (plan::check_plan(plan, example.model, {world_size, example.job.seq_length})) {
    return std::nullopt;
  }
  const cost::SearchedCost cost = cost::cost_as_searched(example.inputs(), plan);
  return ScoredPlan{cost.step_time.value, cost.peak_memory};
}

// Every interleaved plan of even stages with one strategy for all layers of a type, TP on
// neighbours.
void add_interleaved_plans(const PlanningExample& example, const SearchOptions& options,
                           int world_size, std::vector<ScoredPlan>& out) {
  const int num_layers = example.model.num_layers();
  for (int p = 2; p <= world_size; ++p) {
    if (world_size % p != 0 || !options.space.pp_degrees.has(p)) continue;
    const auto of_layer = strategies_of(example, options, world_size / p);
    std::vector<std::vector<plan::LayerStrategy>> rows;  // by type
    for (std::size_t type = 0; type < example.model.type_names().size(); ++type) {
      const int layer = example.model.first_layer_of_type(static_cast<int>(type));
      rows.push_back(of_layer[static_cast<std::size_t>(layer)]);
      std::erase_if(rows.back(), [](const auto& one) { return !one.tp_consecutive; });
    }
    for (int m = 1; m <= example.job.global_batch; ++m) {
      if (!options.space.num_microbatches.has(m)) continue;
      for (int stages = 2 * p; stages <= num_layers; stages += p) {
        all_layers(rows, [&](const std::vector<plan::LayerStrategy>& of_type) {
          std::vector<plan::LayerStrategy> layers;
          for (const spec::LayerSpec& layer : example.model.layers) {
            layers.push_back(of_type[static_cast<std::size_t>(layer.type)]);
          }
          const plan::Pipeline pipeline{p, plan::ScheduleKind::kInterleaved,
                                        plan::even_stages(num_layers, stages)};
          const auto scored = score(example, world_size, m, pipeline, layers);
          if (scored) out.push_back(*scored);
        });
      }
    }
  }
}

// Every valid plan of the options' space, all schedules, priced as the search does.
std::vector<ScoredPlan> all_plans(const PlanningExample& example, const SearchOptions& options,
                                  int world_size) {
  std::vector<ScoredPlan> out;
  if (options.space.schedules.has(plan::ScheduleKind::kInterleaved)) {
    add_interleaved_plans(example, options, world_size, out);
  }
  if (!options.space.schedules.has(plan::ScheduleKind::k1F1B)) return out;
  for (int p = 1; p <= world_size; ++p) {
    if (world_size % p != 0 || !options.space.pp_degrees.has(p)) continue;
    const auto rows = strategies_of(example, options, world_size / p);
    for (int m = 1; m <= example.job.global_batch; ++m) {
      if (!options.space.num_microbatches.has(m)) continue;
      all_stage_sizes(example.model.num_layers(), p, {}, [&](const std::vector<int>& sizes) {
        all_layers(rows, [&](const std::vector<plan::LayerStrategy>& layers) {
          for (const plan::ScheduleKind kind :
               {plan::ScheduleKind::k1F1B, plan::ScheduleKind::kGPipe}) {
            const auto scored = score(example, world_size, m, {p, kind, sizes}, layers);
            if (!scored) break;
            out.push_back(*scored);
            if (p == 1) break;
          }
        });
      });
    }
  }
  return out;
}

// Where at most the embedding and the head share a weight the search counts as the estimate does.
void expect_not_above(const cost::PlanCost& cost, const cost::SearchedCost& searched,
                      const spec::ModelSpec& model) {
  const double step_ms = searched.step_time.value;
  EXPECT_LE(cost.step_time.value, step_ms * (1 + 1e-9));
  EXPECT_LE(cost.peak_memory(), searched.peak_memory);
  if (model.tied_layers().size() > 2) return;
  EXPECT_NEAR(cost.step_time.value, step_ms, 1e-9 * step_ms);
  EXPECT_EQ(cost.peak_memory(), searched.peak_memory);
}

// The whole search against every plan, at budgets from what nothing fits to what all fit.
// `best_plans`: those found.
void expect_best_of_all_plans(const PlanningExample& example, SearchOptions options, int world_size,
                              std::vector<plan::Plan>* best_plans = nullptr) {
  const std::vector<ScoredPlan> all = all_plans(example, options, world_size);
  ASSERT_GT(all.size(), 1000u);
  std::int64_t leanest = std::numeric_limits<std::int64_t>::max(), fullest = 0;
  for (const ScoredPlan& one : all) {
    leanest = std::min(leanest, one.peak.value);
    fullest = std::max(fullest, one.peak.value);
  }
  constexpr int kBudgets = 12;
  double slowest = 0, fastest = 0;
  for (int i = -1; i <= kBudgets; ++i) {
    const std::int64_t step = (fullest - leanest) / kBudgets / (i < kBudgets / 2 ? 8 : 1);
    options.memory = {leanest + (i < 0 ? -1 : step * i)};
    SCOPED_TRACE(testing::Message() << example.model.name << " in " << options.memory.value);
    double best = kInfinity;
    for (const ScoredPlan& one : all) {
      if (one.peak <= options.memory) best = std::min(best, one.step_ms);
    }
    const SearchResult result = example.search(options);
    ASSERT_EQ(result.best.has_value(), best < kInfinity);
    if (!result.best) continue;
    const plan::Plan& plan = result.best->plan;
    const cost::SearchedCost searched = cost::cost_as_searched(example.inputs(), plan);
    EXPECT_NEAR(searched.step_time.value, best, 1e-9 * best);
    EXPECT_LE(searched.peak_memory, options.memory);
    expect_not_above(result.best->cost, searched, example.model);
    EXPECT_EQ(result.certificate.gap(), 0);
    if (best_plans) best_plans->push_back(result.best->plan);
    if (slowest == 0) slowest = best;
    fastest = best;
  }
  EXPECT_LT(fastest, slowest);  // memory mattered
}

TEST(Search, EqualsEveryPlanOfASmallModel) {
  const PlanningExample example("gpt2-tiny", 4, 4, 64);
  SearchOptions options = with_memory({});
  allow(options, {"ulysses_degree=1", "tp_degree=1,2", "zero_stage=0,3", "recompute=none,full",
                  "num_microbatches=1,2,4"});
  expect_best_of_all_plans(example, options, 4);
}

template <typename Has>
bool any_layer(const std::vector<plan::Plan>& plans, Has has) {
  return std::any_of(plans.begin(), plans.end(), [&](const plan::Plan& plan) {
    return std::any_of(plan.layers.begin(), plan.layers.end(), has);
  });
}

// Two nodes: TP may lie inside them or across. Few tokens, and messages that cost by their size
// alone, so that both are best somewhere.
TEST(Search, EqualsEveryPlanOfTwoNodes) {
  PlanningExample example("gpt2-tiny", 4, 4, 8, 2);
  for (auto& [name, link] : example.hardware.links) link.latency_ms = 0;
  SearchOptions options = with_memory({});
  allow(options, {"ulysses_degree=1", "tp_degree=1,2", "zero_stage=0,3", "recompute=none,full",
                  "num_microbatches=1,2,4"});
  std::vector<plan::Plan> best;
  expect_best_of_all_plans(example, options, 4, &best);
  const auto across = [](const plan::LayerStrategy& layer) { return !layer.tp_consecutive; };
  EXPECT_TRUE(any_layer(best, across));
}

TEST(Search, EqualsEveryPlanOfShardedGroups) {
  PlanningExample example("gpt2-tiny", 4, 4, 64, 2);
  for (auto& [name, link] : example.hardware.links) link.latency_ms = 0;
  example.hardware.links["inter_node"].bandwidth_bytes_per_ms = 1e6;
  SearchOptions options = with_memory({});
  allow(options, {"pp_degree=1", "ulysses_degree=1,2", "tp_degree=1", "zero_stage=1,3",
                  "recompute=none,full", "num_microbatches=1,2,4"});
  std::vector<plan::Plan> best;
  expect_best_of_all_plans(example, options, 4, &best);
  const auto sharded = [](const plan::LayerStrategy& layer) { return layer.shard_degree > 0; };
  EXPECT_TRUE(any_layer(best, sharded));
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

TEST(Search, EqualsEveryPlanOfAHierarchicalModel) {
  const PlanningExample example(hierarchical_model(1), 4, 4, 256);
  SearchOptions options = with_memory({});
  allow(options, {"tp_degree=1", "ulysses_degree=1,2", "zero_stage=0,3", "recompute=none",
                  "num_microbatches=1,2"});
  expect_best_of_all_plans(example, options, 4);
}

TEST(Search, EqualsEveryPlanOfAnEncoderAndDecoder) {
  const PlanningExample example(encoder_decoder_model(1), 4, 4, 256);
  EXPECT_EQ(example.model.tied_layers().size(), 3u);
  SearchOptions options = with_memory({});
  allow(options, {"tp_degree=1,2", "ulysses_degree=1", "zero_stage=1,3", "recompute=none,full",
                  "num_microbatches=2,4"});
  expect_best_of_all_plans(example, options, 4);
}

// The interleaved part alone: its best plan and its leanest.
TEST(Search, EqualsEveryInterleavedPlan) {
  const PlanningExample decoder("gpt2-tiny", 4, 6, 64);
  SearchOptions options = with_memory({});
  allow(options, {"schedule=interleaved", "zero_stage=0,1,3"});
  expect_best_of_all_plans(decoder, options, 4);
  const PlanningExample several(encoder_decoder_model(1), 4, 4, 256);
  allow(options, {"recompute=none,full", "ulysses_degree=1"});
  expect_best_of_all_plans(several, options, 4);
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
