// The promise of the training loop: a plan changes speed and memory, never the losses.
#include "galvatron/train/trainer.h"

#include <mutex>
#include <set>

#include <gtest/gtest.h>

#include <ATen/Parallel.h>

#include "galvatron/base/error.h"
#include "galvatron/models/registry.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/plan/traced_step.h"
#include "galvatron/train/timeline.h"

#include "test_threads.h"
#include "train/single_precision.h"
#include "train/tiny_training.h"

namespace galvatron::train {
namespace {

// Records of rank 0, all ranks as threads.
std::vector<StepRecord> train(const plan::Plan& plan, const TrainerOptions& options) {
  const spec::ModelSpec model = tiny_gpt();
  plan::require_valid_plan(plan, model, {plan.world_size, kSeqLength});
  std::vector<StepRecord> records;
  comm::run_rank_threads(plan.world_size, [&](comm::World& world) {
    use_test_threads();
    const data::NextTokenSamples samples = synthetic_samples(model, kSeed);
    const data::NextTokenSamples valid = synthetic_samples(model, kSeed + 1);
    runtime::Engine engine(model, plan, world, models::make_layer, {kSeed, kSeqLength, true});
    Trainer trainer(engine, samples, &valid, options);
    trainer.run([&](const StepRecord& record) {
      if (world.rank() == 0) records.push_back(record);
    });
  });
  return records;
}

std::vector<double> losses_of(const plan::Plan& plan, const TrainerOptions& options) {
  std::vector<double> losses;
  for (const StepRecord& record : train(plan, options)) losses.push_back(record.loss);
  return losses;
}

// What one rank makes of the same steps.
struct OneRank {
  std::vector<double> truth;                // in double
  std::vector<std::vector<double>> single;  // adding up the gradients in several orders
};

OneRank train_one_rank(const TrainerOptions& options) {
  OneRank out{losses_of(make_plan(1, {}, 1, 1, spec::Precision::kFp64), options), {}};
  for (const int num_microbatches : {1, 2, 4, 8})
    out.single.push_back(losses_of(make_plan(1, {}, 1, num_microbatches), options));
  return out;
}

void expect_same_losses(const plan::Plan& plan) {
  const TrainerOptions options = make_options(100);
  static const OneRank one_rank = train_one_rank(options);
  ASSERT_LT(one_rank.truth.back(), 0.9 * one_rank.truth.front()) << "it learns nothing";
  ASSERT_EQ(one_rank.truth.size(), 100U);
  expect_no_worse(losses_of(plan, options), one_rank.single, one_rank.truth);
}

TEST(Trainer, AnyPlanHasTheSameLearningRates) {
  const std::vector<StepRecord> expected = train(make_plan(1, {}), make_options(20)),
                                actual = train(mixed_plan(), make_options(20));
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(expected[i].lr, actual[i].lr);
}

TEST(Trainer, PureDataParallelKeepsTheLosses) { expect_same_losses(make_plan(4, {})); }
TEST(Trainer, Zero3KeepsTheLosses) { expect_same_losses(make_plan(4, {.zero_stage = 3}, 1, 2)); }
TEST(Trainer, ShardedGroupsKeepTheLosses) {
  expect_same_losses(make_plan(8, {.tp_degree = 2, .zero_stage = 3, .shard_degree = 2}, 1, 2));
  expect_same_losses(make_plan(4, {.zero_stage = 1, .shard_degree = 2}, 1, 2));
}
TEST(Trainer, Tp8KeepsTheLosses) { expect_same_losses(make_plan(8, {.tp_degree = 8})); }
TEST(Trainer, Pp4KeepsTheLosses) { expect_same_losses(make_plan(4, {}, 4, 4)); }
TEST(Trainer, AMixPerLayerKeepsTheLosses) { expect_same_losses(mixed_plan()); }

TEST(Trainer, EveryOptimizerKeepsTheLossesUnderAMixPerLayer) {
  for (const std::string& name : spec::optimizer_names()) {
    TrainerOptions options = make_options(20);
    options.optimizer = {name, {}};
    options.lr.peak = name == "sgd" ? 0.3 : options.lr.peak;
    const OneRank one_rank = train_one_rank(options);
    EXPECT_LT(one_rank.truth.back(), one_rank.truth.front()) << name << " learns nothing";
    SCOPED_TRACE(name);
    expect_no_worse(losses_of(mixed_plan(), options), one_rank.single, one_rank.truth);
  }
}

// In double, where a plan changes nothing but the order of sums.
void expect_equal_in_double(plan::Plan plan, const TrainerOptions& options) {
  plan.precision = spec::Precision::kFp64;
  const auto expected = train(make_plan(1, {}, 1, 1, spec::Precision::kFp64), options),
             actual = train(plan, options);
  ASSERT_EQ(expected.size(), actual.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(expected[i].loss, actual[i].loss, 1e-9) << "step " << i + 1;
    EXPECT_NEAR(expected[i].grad_norm, actual[i].grad_norm, 1e-9) << "step " << i + 1;
    EXPECT_EQ(expected[i].tokens, actual[i].tokens);
  }
}

TEST(Trainer, ABatchThatGrowsTakesTheSameSamplesUnderAnyPlan) {
  TrainerOptions options = make_options(10);
  options.batch_rampup = {2, 2, 12};
  expect_equal_in_double(mixed_plan(), options);
  std::vector<std::int64_t> tokens;
  for (const StepRecord& record : train(make_plan(2, {}, 2, 2), options))
    tokens.push_back(record.tokens / kSeqLength);
  EXPECT_EQ(tokens, (std::vector<std::int64_t>{2, 2, 4, 6, 8, 8, 8, 8, 8, 8}));
}

TEST(Trainer, GroupsAndAChangingWeightDecayAreTheSameUnderAnyPlan) {
  TrainerOptions options = make_options(10);
  options.weight_decay = {DecayShape::kCosine, 0.4};
  options.param_groups = {"*wte*:lr=0.1x", "*.0.attn*weight:frozen", "*bias:weight_decay=0.5"};
  for (const std::string& name : spec::optimizer_names()) {
    SCOPED_TRACE(name);
    options.optimizer = {name, {}};
    expect_equal_in_double(mixed_plan(), options);
  }
}

TEST(Trainer, WeightDecayChangesFromStepToStep) {
  TrainerOptions options = make_options(10), constant = options;
  options.weight_decay = {DecayShape::kLinear, 900};
  const auto changing = train(make_plan(1, {}), options), usual = train(make_plan(1, {}), constant);
  EXPECT_EQ(changing[0].loss, usual[0].loss);
  EXPECT_EQ(changing[1].loss, usual[1].loss) << "the first update decays as before";
  EXPECT_NE(changing[2].loss, usual[2].loss);
}

TEST(Trainer, RepeatsToTheBit) {
  const std::vector<StepRecord> first = train(mixed_plan(), make_options(10)),
                                again = train(mixed_plan(), make_options(10));
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].loss, again[i].loss);
    EXPECT_EQ(first[i].grad_norm, again[i].grad_norm);
  }
}

TEST(Trainer, Fp16ScalesTheLossAndLearns) {
  TrainerOptions options = make_options(30);
  options.loss_scaling.initial = 4294967296;  // overflows at first
  const auto records =
      train(make_plan(2, {.zero_stage = 2}, 1, 1, spec::Precision::kFp16), options);
  EXPECT_TRUE(records.front().skipped);
  EXPECT_FALSE(records.back().skipped);
  EXPECT_LT(records.back().loss, records.front().loss);
}

TEST(Trainer, EvaluatesEveryNStepsAndAtTheEnd) {
  TrainerOptions options = make_options(5);
  options.eval_interval = 2;
  options.eval_batches = 1;
  const auto records = train(make_plan(2, {}), options);
  std::vector<bool> evaluated;
  for (const StepRecord& record : records) evaluated.push_back(record.valid_loss.has_value());
  EXPECT_EQ(evaluated, (std::vector<bool>{false, true, false, true, true}));
  EXPECT_NEAR(*records[1].valid_loss, std::log(101), 0.5);
}

TEST(Trainer, AFailureNamesItsStepAndEndsThePeers) {
  const spec::ModelSpec model = tiny_gpt();
  const plan::Plan plan = make_plan(2, {});
  std::mutex mutex;
  std::vector<std::string> messages(2);
  EXPECT_THROW(
      comm::run_rank_threads(2,
                             [&](comm::World& world) {
                               at::set_num_threads(1);
                               const data::NextTokenSamples samples = synthetic_samples(model);
                               runtime::Engine engine(model, plan, world, models::make_layer,
                                                      {kSeed, kSeqLength, true});
                               Trainer trainer(engine, samples, nullptr, make_options(5));
                               try {
                                 trainer.run([&](const StepRecord& record) {
                                   const bool fails = world.rank() == 1 && record.step == 2;
                                   if (fails) throw RuntimeFailure("the disk is full");
                                 });
                               } catch (const RuntimeFailure& failure) {
                                 const std::lock_guard lock(mutex);
                                 messages[static_cast<std::size_t>(world.rank())] = failure.what();
                                 throw;
                               }
                             }),
      RuntimeFailure);
  EXPECT_EQ(messages[1], "step 2: the disk is full");
  EXPECT_TRUE(messages[0].starts_with("step 3: ")) << messages[0];
}

TEST(Trainer, LeavesOutStepsThatAreNotFiniteAsOftenAsAllowed) {
  TrainerOptions options = make_options(10);
  options.lr = {LrShape::kConstant, 1e30, 0, 0};  // the first step ruins the weights
  options.max_bad_steps = 2;
  const spec::ModelSpec model = tiny_gpt();
  std::vector<StepRecord> records;
  std::string message;
  comm::World world = comm::single_world();
  const data::NextTokenSamples samples = synthetic_samples(model, kSeed);
  runtime::Engine engine(model, make_plan(1, {}), world, models::make_layer, {kSeed, kSeqLength});
  Trainer trainer(engine, samples, nullptr, options);
  try {
    trainer.run([&](const StepRecord& record) { records.push_back(record); });
  } catch (const RuntimeFailure& failure) {
    message = failure.what();
  }
  ASSERT_EQ(records.size(), 3U);
  EXPECT_FALSE(records[0].skipped);
  EXPECT_TRUE(records[1].skipped && records[2].skipped);
  EXPECT_EQ(records[2].samples, (Range{2 * kGlobalBatch, 3 * kGlobalBatch}));
  EXPECT_TRUE(message.starts_with("step 4: in 3 steps in a row, and now the loss is ")) << message;
}

TEST(Trainer, Fp16EndsWhereNoSmallerScaleIsLeft) {
  TrainerOptions options = make_options(40);
  options.lr = {LrShape::kConstant, 1e30, 0, 0};
  options.loss_scaling.initial = 8;
  EXPECT_THROW(train(make_plan(1, {}, 1, 1, spec::Precision::kFp16), options), RuntimeFailure);
}

// Nobody's answer counts in the second batch.
class SamplesWithoutLabels : public data::NextTokenSamples {
 public:
  using data::NextTokenSamples::NextTokenSamples;
  double num_labels(std::int64_t consumed, std::int64_t count) const override {
    return consumed == kGlobalBatch ? 0 : data::NextTokenSamples::num_labels(consumed, count);
  }
};

TEST(Trainer, LeavesOutABatchWithoutLabels) {
  const spec::ModelSpec model = tiny_gpt();
  comm::World world = comm::single_world();
  const SamplesWithoutLabels samples(
      std::make_unique<data::SyntheticSamples>(kSamples, kSeqLength, model.vocab_size, kSeed));
  runtime::Engine engine(model, make_plan(1, {}), world, models::make_layer, {kSeed, kSeqLength});
  Trainer trainer(engine, samples, nullptr, make_options(3));
  std::vector<StepRecord> records;
  trainer.run([&](const StepRecord& record) { records.push_back(record); });
  ASSERT_EQ(records.size(), 3U);
  EXPECT_TRUE(records[1].skipped);
  EXPECT_EQ(records[1].loss, 0);
  EXPECT_FALSE(records[2].skipped);
  EXPECT_GT(records[2].loss, 0);
}

TEST(Trainer, AllStopAfterTheSameStepWhenOneWantsTo) {
  const spec::ModelSpec model = tiny_gpt();
  std::vector<std::int64_t> steps(3);
  comm::run_rank_threads(3, [&](comm::World& world) {
    at::set_num_threads(1);
    const data::NextTokenSamples samples = synthetic_samples(model, kSeed);
    runtime::Engine engine(model, make_plan(3, {}), world, models::make_layer, {kSeed, kSeqLength});
    int asked = 0;
    TrainerOptions options = make_options(50);
    options.wants_to_stop = [&] { return world.rank() == 1 && ++asked == 4; };
    Trainer trainer(engine, samples, nullptr, options);
    trainer.run({});
    EXPECT_TRUE(trainer.stopped());
    steps[static_cast<std::size_t>(world.rank())] = trainer.steps_done();
  });
  EXPECT_EQ(steps, (std::vector<std::int64_t>{4, 4, 4}));
}

TEST(Timeline, HoldsEveryRanksLastStep) {
  const spec::ModelSpec model = tiny_gpt();
  const plan::Plan plan = make_plan(2, {}, 2, 4);
  comm::run_rank_threads(2, [&](comm::World& world) {
    at::set_num_threads(1);
    const data::NextTokenSamples samples = synthetic_samples(model);
    runtime::Engine engine(model, plan, world, models::make_layer, {kSeed, kSeqLength, true});
    Trainer trainer(engine, samples, nullptr, make_options(2));
    trainer.run(nullptr);
    const OrderedJson timeline = gather_timeline(world, engine.trace(), plan);
    std::map<int, int> forwards;
    for (const auto& event : timeline["traceEvents"]) {
      if (event["ph"] != "X") continue;
      EXPECT_GE(event["ts"].get<double>(), 0);
      EXPECT_GE(event["dur"].get<double>(), 0);
      if (event["cat"] == "forward") ++forwards[event["tid"].get<int>()];
    }
    EXPECT_EQ(forwards, (std::map<int, int>{{0, 4}, {1, 4}}));
  });
}

TEST(Timeline, TellsWhatItsCollectivesAreFor) {
  using enum plan::StepKind;
  const spec::ModelSpec model = tiny_gpt();
  const auto parts_of = [&](const plan::Plan& plan) {
    plan::TracedStep found;
    comm::run_rank_threads(plan.world_size, [&](comm::World& world) {
      use_test_threads();
      const data::NextTokenSamples samples = synthetic_samples(model, kSeed);
      runtime::Engine engine(model, plan, world, models::make_layer, {kSeed, kSeqLength, true});
      Trainer trainer(engine, samples, nullptr, make_options(2));
      trainer.run(nullptr);
      const auto step = plan::traced_step(gather_timeline(world, engine.trace(), plan), plan, 0);
      if (world.rank() == 0) found = step.value();
    });
    EXPECT_TRUE(found.tells_collectives);
    EXPECT_GT(found.ms[kForward], 0);
    EXPECT_GT(found.ms[kBackward], 0);
    EXPECT_GT(found.ms[kOptimizer], 0);
    EXPECT_EQ(found.num_steps, 1);
    return found.ms;
  };
  const plan::StepKinds tp = parts_of(make_plan(2, {.tp_degree = 2}, 1, 2));
  EXPECT_GT(tp[kTp], 0);
  EXPECT_EQ(tp[kUlysses] + tp[kZero] + tp[kTransfer] + tp[kRecompute], 0);
  const plan::StepKinds ulysses = parts_of(make_plan(2, {.ulysses_degree = 2}, 1, 2));
  EXPECT_GT(ulysses[kUlysses], 0);
  EXPECT_EQ(ulysses[kTp], 0);
  const plan::StepKinds zero =
      parts_of(make_plan(2, {.zero_stage = 3, .recompute = plan::Recompute::kFull}, 1, 2));
  EXPECT_GT(zero[kZero], 0);
  EXPECT_GT(zero[kRecompute], 0);
  const plan::StepKinds pipeline = parts_of(make_plan(2, {}, 2, 4));
  EXPECT_GT(pipeline[kTransfer] + pipeline[kBubble], 0);
  EXPECT_EQ(pipeline[kTp], 0);
}

TEST(Trainer, TracesTheStepsThatWereNamed) {
  const spec::ModelSpec model = tiny_gpt();
  const plan::Plan plan = make_plan(2, {}, 2, 4);
  comm::run_rank_threads(2, [&](comm::World& world) {
    use_test_threads();
    const data::NextTokenSamples samples = synthetic_samples(model, kSeed);
    runtime::Engine engine(model, plan, world, models::make_layer, {kSeed, kSeqLength, true});
    TrainerOptions options = make_options(6);
    options.trace_steps = StepRanges::parse("5,2..3", "trace_steps");
    Trainer trainer(engine, samples, nullptr, options);
    trainer.run(nullptr);
    EXPECT_EQ(trainer.last_traced(), 5);
    std::map<std::int64_t, int> forwards;
    for (const runtime::TraceEvent& event : engine.trace().events()) {
      if (event.category == "forward") ++forwards[event.step];
    }
    EXPECT_EQ(forwards, (std::map<std::int64_t, int>{{2, 4}, {3, 4}, {5, 4}}));
    const OrderedJson timeline = gather_timeline(world, engine.trace(), plan);
    std::set<std::int64_t> steps;
    for (const auto& event : timeline["traceEvents"]) {
      if (event["ph"] == "X") steps.insert(event["args"]["step"].get<std::int64_t>());
    }
    EXPECT_EQ(steps, (std::set<std::int64_t>{2, 3, 5}));
  });
}

}  // namespace
}  // namespace galvatron::train
