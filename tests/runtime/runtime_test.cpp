// Redistribution, ZeRO units, and the training promise on plans chosen by hand (plan_fuzz draws
// them at random).
#include <map>

#include <gtest/gtest.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/registry.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/runtime/redistribute.h"

#include "runtime/plan_training.h"
#include "runtime/random_plan.h"

namespace galvatron::testing {
namespace {

at::Tensor rect_of(const at::Tensor& x, const plan::TokenRect& rect) {
  return x.narrow(0, rect.samples.begin, rect.samples.size())
      .narrow(1, rect.tokens.begin, rect.tokens.size())
      .contiguous();
}

TEST(Redistribute, MovesEveryRectangleToEveryLayout) {
  const at::Tensor x = at::arange(5 * 7 * 2, at::kDouble).view({5, 7, 2});
  comm::run_rank_threads(6, [&](comm::World& world) {
    for (const int from_seq : {1, 2, 3, 6}) {
      for (const int to_seq : {1, 2, 3, 6}) {
        const plan::TokenLayout from{6 / from_seq, from_seq}, to{6 / to_seq, to_seq};
        const at::Tensor moved = runtime::redistribute(rect_of(x, from.rect(world.rank(), 5, 7)),
                                                       from, to, 5, 7, world.all());
        EXPECT_TRUE(at::equal(moved, rect_of(x, to.rect(world.rank(), 5, 7))));
      }
    }
  });
}

spec::ModelSpec tiny(const std::string& preset) { return spec::load_model(preset); }

// Bytes of states that a rank keeps, by ZeRO stage: what the table in param_unit.h says.
std::int64_t state_elements(int zero_stage, int world_size) {
  TrainingCase job;
  job.model = tiny("gpt2-tiny");
  plan::LayerStrategy strategy;
  strategy.zero_stage = zero_stage;
  const plan::Plan plan =
      plan::uniform_plan(job.model, {8, 4, spec::Precision::kFp64}, world_size, strategy);
  std::int64_t owned = 0;
  comm::run_rank_threads(world_size, [&](comm::World& world) {
    runtime::Engine engine(job.model, plan, world, models::make_layer, {1, 8, true});
    std::int64_t mine = 0;
    for (runtime::ParamUnit* unit : engine.units()) mine += unit->owned().size();
    if (world.rank() == 0) owned = mine;
  });
  return owned;
}

TEST(ParamUnit, EachRankOwnsItsShare) {
  const std::int64_t whole = state_elements(0, 4);
  EXPECT_GE(whole, tiny("gpt2-tiny").num_params());
  for (const int stage : {1, 2, 3})
    EXPECT_EQ(state_elements(stage, 4), whole / 4) << "zero stage " << stage;
}

TEST(Engine, InitialValuesDoNotDependOnTheLayout) {
  TrainingCase job;
  job.model = tiny("llama-tiny");
  job.steps = 0;
  const TrainingResult one = train(job, single_rank_plan(job));
  plan::LayerStrategy strategy{.tp_degree = 2, .zero_stage = 3};
  const TrainingResult eight = train(
      job, plan::uniform_plan(job.model, {job.seq_length, job.global_batch, spec::Precision::kFp64},
                              8, strategy, 2));
  ASSERT_EQ(one.parameters.size(), eight.parameters.size());
  for (const auto& [name, value] : one.parameters)
    EXPECT_TRUE(at::equal(value, eight.parameters.at(name))) << name;
}

TEST(Engine, OneCommunicatorForEachDistinctRankSet) {
  TrainingCase job;
  job.model = tiny("gpt2-tiny");
  const plan::LayerStrategy strategy{.tp_degree = 2, .zero_stage = 2};
  const plan::Plan plan =
      plan::uniform_plan(job.model, {8, 4, spec::Precision::kFp64}, 4, strategy);
  comm::run_rank_threads(4, [&](comm::World& world) {
    runtime::Engine engine(job.model, plan, world, models::make_layer, {1, 8, true});
    // All four ranks, this rank's pair inside tensor parallelism, its two replicas: three, for any
    // number of layers.
    EXPECT_EQ(world.num_communicators(), 3);
  });
}

TEST(Engine, SamePlanTwiceIsEqualToTheBit) {
  Random random(5);
  TrainingCase job = random_case(random);
  const plan::Plan plan = random_plan(random, job, 4);
  const TrainingResult a = train(job, plan), b = train(job, plan);
  EXPECT_EQ(a.losses, b.losses);
  for (const auto& [name, value] : a.parameters)
    EXPECT_TRUE(at::equal(value, b.parameters.at(name))) << name;
}

// Where sums are as exact as in fp64 nearly all numbers are rounded to the same float8 under any
// plan: all but those far below the largest of their tensor, and what lies on a border for them.
TEST(Engine, Float8RoundsAlikeUnderEveryPlan) {
  TrainingCase job;
  job.model = tiny("gpt2-tiny");
  const TrainingResult exact = train(job, single_rank_plan(job));
  job.linears = nn::LinearPrecision::kFloat8;
  const TrainingResult one = train(job, single_rank_plan(job));
  const auto worst = [](const TrainingResult& a, const TrainingResult& b) {
    double most = 0;
    for (const auto& [name, expected] : a.first_gradients) {
      const at::Tensor error = b.first_gradients.at(name) - expected;
      most = std::max(most, (error.norm() / expected.norm()).item<double>());
    }
    return most;
  };
  const double rounding = worst(exact, one);
  EXPECT_GT(rounding, 1e-3) << "nothing was rounded";
  EXPECT_LT(rounding, 0.5);
  using plan::Recompute;
  const std::vector<std::pair<plan::LayerStrategy, int>> plans = {
      {{.tp_degree = 2}, 1},
      {{.zero_stage = 3, .recompute = Recompute::kFull}, 1},
      {{}, 2},
      {{.ulysses_degree = 2, .recompute = Recompute::kSelective}, 1}};
  for (const auto& [strategy, pp_degree] : plans) {
    const spec::JobSpec spec{job.seq_length, job.global_batch, spec::Precision::kFp64};
    const TrainingResult two =
        train(job, plan::uniform_plan(job.model, spec, 2, strategy, pp_degree, 2));
    SCOPED_TRACE(plan::to_text(strategy) + ", pp " + std::to_string(pp_degree));
    EXPECT_LT(worst(one, two), rounding / 20);
    for (std::size_t i = 0; i < one.losses.size(); ++i)
      EXPECT_NEAR(one.losses[i], two.losses[i], 1e-3 * one.losses[i]) << "step " << i;
  }
}

// Sums in bf16 are as good as bf16 is, whatever is summed when; the rest is equal.
TEST(Engine, GradientsReducedInBf16AreNearThoseOfOneRank) {
  TrainingCase job;
  job.model = tiny("gpt2-tiny");
  job.steps = 1;
  job.max_grad_norm = 0;
  const TrainingResult one = train(job, single_rank_plan(job));
  for (const auto when : {spec::GradReduce::kMicrobatch, spec::GradReduce::kStep}) {
    for (const int zero_stage : {0, 1, 2, 3}) {
      spec::JobSpec spec{job.seq_length, job.global_batch, spec::Precision::kFp64};
      spec.communication.grad_reduce = when;
      spec.communication.grad_reduce_precision = spec::GradReducePrecision::kBf16;
      const plan::LayerStrategy strategy{.zero_stage = zero_stage,
                                         .shard_degree = zero_stage > 0 ? 2 : 0};
      const TrainingResult four = train(job, plan::uniform_plan(job.model, spec, 4, strategy));
      EXPECT_NEAR(one.losses[0], four.losses[0], 1e-9);
      double most = 0;
      for (const auto& [name, expected] : one.first_gradients) {
        const at::Tensor error = (four.first_gradients.at(name) - expected).abs();
        most = std::max(most, (error.max() / expected.abs().max()).item<double>());
      }
      EXPECT_LT(most, 1.0 / 64) << "zero " << zero_stage;
      EXPECT_GT(most, 1e-6) << "zero " << zero_stage << ": nothing was rounded";
    }
  }
}

TEST(Engine, LossFallsAndGradientsAreNotZero) {
  TrainingCase job;
  job.model = tiny("gpt2-tiny");
  job.steps = 5;
  job.max_grad_norm = 0;
  const TrainingResult result = train(job, single_rank_plan(job));
  EXPECT_GT(result.grad_norms[0], 0.1);
  for (const auto& [name, gradient] : result.first_gradients) {
    EXPECT_GT(gradient.abs().max().item<double>(), 0) << name;
  }
}

// T5's decoder with the encoder's output beside it.
bool two_streams_cross_a_stage(const FuzzCase& test) {
  int layer = 0;
  for (const int layers : test.plan.pipeline.layers_per_stage) {
    layer += layers;
    if (layer < test.job.model.num_layers() && test.job.model.inputs_of(layer).size() > 1)
      return true;
  }
  return false;
}

// Swin: a layer of this kind whose sequence is divided.
bool splits(const FuzzCase& test, spec::LayerKind kind) {
  for (std::size_t i = 0; i < test.plan.layers.size(); ++i) {
    const spec::LayerSpec& layer = test.job.model.layers[i];
    const bool windows = layer.kind == spec::LayerKind::kMerge || layer.shape.window.size > 0;
    if (layer.kind == kind && windows && test.plan.layers[i].seq_degree() > 1) return true;
  }
  return false;
}

TEST(PlanFuzz, CasesCoverWhatTheyShould) {
  int tp = 0, strided = 0, ulysses = 0, both = 0, pipelines = 0, mixed = 0, recompute = 0,
      dropout = 0, tied_across = 0, gpipe = 0;
  int interleaved = 0, tied_interleaved = 0, few_microbatches = 0;
  int streams_across = 0, windows_split = 0, merges_split = 0;
  std::map<spec::Family, int> families;
  std::array<int, 4> zero{};
  constexpr int kCases = 300;
  for (std::uint64_t seed = 1; seed <= kCases; ++seed) {
    const FuzzCase test = fuzz_case(seed);
    EXPECT_FALSE(
        plan::check_plan(test.plan, test.job.model, {test.plan.world_size, test.job.seq_length}));
    bool layer_strided = false, layer_tp = false, layer_ulysses = false, layer_both = false,
         layer_recompute = false, differ = false;
    for (const plan::LayerStrategy& layer : test.plan.layers) {
      layer_tp |= layer.tp_degree > 1;
      layer_strided |= !layer.tp_consecutive;
      layer_ulysses |= layer.ulysses_degree > 1;
      layer_both |= layer.tp_degree > 1 && layer.ulysses_degree > 1;
      layer_recompute |= layer.recompute != plan::Recompute::kNone;
      differ |= layer != test.plan.layers[0];
      ++zero[static_cast<std::size_t>(layer.zero_stage)];
    }
    strided += layer_strided, tp += layer_tp, ulysses += layer_ulysses, both += layer_both,
        recompute += layer_recompute, mixed += differ;
    pipelines += test.plan.pipeline.degree > 1;
    gpipe +=
        test.plan.pipeline.degree > 1 && test.plan.pipeline.schedule == plan::ScheduleKind::kGPipe;
    const bool chunks = test.plan.pipeline.stages_per_rank() > 1;
    interleaved += chunks;
    tied_interleaved += chunks && test.job.model.tied_embeddings;
    few_microbatches += chunks && test.plan.num_microbatches < test.plan.pipeline.degree;
    dropout += test.job.model.layers[1].shape.residual_dropout > 0;
    ++families[test.job.model.family];
    windows_split += splits(test, spec::LayerKind::kBlock);
    merges_split += splits(test, spec::LayerKind::kMerge);
    streams_across += two_streams_cross_a_stage(test);
    tied_across += test.plan.pipeline.degree > 1 && test.job.model.tied_embeddings;
  }
  for (const int count : {tp, strided, ulysses, both, recompute, mixed, pipelines, gpipe,
                          interleaved, dropout, tied_across}) {
    EXPECT_GE(count, kCases / 20);
  }
  // Of one family in six, or of one schedule in three.
  for (const int count :
       {streams_across, windows_split, merges_split, tied_interleaved, few_microbatches})
    EXPECT_GE(count, kCases / 40);
  EXPECT_EQ(families.size(), 13u);
  for (const auto& [family, count] : families)  // at least half of its share
    EXPECT_GE(count, kCases / (2 * static_cast<int>(families.size()))) << spec::to_text(family);
  for (const int count : zero) EXPECT_GE(count, kCases / 3);
}

}  // namespace
}  // namespace galvatron::testing
