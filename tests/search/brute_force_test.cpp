// The search against every plan of small models.
#include <gtest/gtest.h>

#include "galvatron/plan/check_plan.h"
#include "galvatron/search/interleaved_candidate.h"
#include "galvatron/search/report.h"
#include "galvatron/search/search.h"
#include "galvatron/search/solvers/tolerance.h"

#include "config_error.h"
#include "search/planning_example.h"
#include "search/search_testing.h"
#include "search/several_kinds.h"

namespace galvatron::search {
namespace {

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

// Every interleaved plan of even stages, or of as many blocks beside the ends, with one strategy
// for all layers of a type, TP on neighbours.
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
          for (const auto& layout :
               {plan::even_stages(num_layers, stages), stages_beside_ends(num_layers, stages)}) {
            if (layout.empty()) continue;
            const plan::Pipeline pipeline{p, plan::ScheduleKind::kInterleaved, layout};
            const auto scored = score(example, world_size, m, pipeline, layers);
            if (scored) out.push_back(*scored);
          }
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
  PlanningExample example("gpt2-tiny", 4, 4, 32, 2);
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

}  // namespace
}  // namespace galvatron::search
