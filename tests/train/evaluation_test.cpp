// An evaluation counts each sample once, and a plan changes neither loss nor accuracy.
#include "galvatron/train/evaluation.h"

#include <cmath>

#include <gtest/gtest.h>

#include "galvatron/models/registry.h"
#include "galvatron/plan/check_plan.h"

#include "test_threads.h"
#include "train/tiny_training.h"

namespace galvatron::train {
namespace {

constexpr std::int64_t kOddSamples = 13, kOddVocabulary = 7;

// Few tokens, of which a model that knows nothing foretells some.
spec::ModelSpec guessing_gpt() {
  spec::ModelSpec whole = tiny_gpt();
  Json config = whole.config;
  config["vocab_size"] = kOddVocabulary;
  return spec::model_from_config(config, "guessing");
}

EvaluationSummary evaluated(const plan::Plan& plan, std::int64_t num_batches = 0) {
  const spec::ModelSpec model = guessing_gpt();
  plan::require_valid_plan(plan, model, {plan.world_size, kSeqLength});
  EvaluationSummary out;
  comm::run_rank_threads(plan.world_size, [&](comm::World& world) {
    use_test_threads();
    const data::NextTokenSamples samples(
        std::make_unique<data::SyntheticSamples>(kOddSamples, kSeqLength, model.vocab_size, kSeed));
    runtime::Engine engine(model, plan, world, models::make_layer, {kSeed, kSeqLength, true});
    const EvaluationSummary found = evaluate(engine, samples, num_batches);
    if (world.rank() == 0) out = found;
  });
  return out;
}

plan::Plan plan_of(int world_size, const plan::LayerStrategy& strategy, std::int64_t global_batch,
                   int pp_degree = 1, int num_microbatches = 1) {
  plan::Plan plan =
      make_plan(world_size, strategy, pp_degree, num_microbatches, spec::Precision::kFp64);
  plan.global_batch = global_batch;
  return plan;
}

TEST(Evaluation, EachSampleCountsOnceUnderAnyPlanAndBatch) {
  const EvaluationSummary one_by_one = evaluated(plan_of(1, {}, 1));
  EXPECT_EQ(one_by_one.batches, kOddSamples);
  EXPECT_GT(one_by_one.accuracy, 0.02);
  EXPECT_LT(one_by_one.accuracy, 0.5);
  EXPECT_EQ(*one_by_one.perplexity, std::exp(one_by_one.loss));
  plan::Plan mixed = mixed_plan();
  mixed.precision = spec::Precision::kFp64;
  for (const plan::Plan& plan :
       {plan_of(1, {}, 5), plan_of(1, {}, 64), plan_of(2, {.tp_degree = 2}, 8),
        plan_of(4, {.tp_degree = 4, .zero_stage = 3}, 6),
        plan_of(2, {.ulysses_degree = 2}, 8, 1, 3), plan_of(4, {}, 8, 2, 4), mixed}) {
    const EvaluationSummary found = evaluated(plan);
    EXPECT_NEAR(found.loss, one_by_one.loss, 1e-9 * one_by_one.loss) << plan::summarize(plan);
    EXPECT_NEAR(found.accuracy, one_by_one.accuracy, 1e-12) << plan::summarize(plan);
    EXPECT_EQ(found.samples, kOddSamples);
    EXPECT_EQ(found.labels, one_by_one.labels);
  }
}

TEST(Evaluation, OfMoreBatchesThanThereAreNoneIsTakenTwice) {
  const EvaluationSummary all = evaluated(plan_of(1, {}, 5)),
                          more = evaluated(plan_of(1, {}, 5), 9);
  EXPECT_EQ(more.batches, 3);
  EXPECT_EQ(more.loss, all.loss);
  EXPECT_EQ(evaluated(plan_of(1, {}, 5), 2).samples, 10);
}

}  // namespace
}  // namespace galvatron::train
