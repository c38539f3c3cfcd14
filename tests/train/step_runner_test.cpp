// Steps that somebody else asks for: whatever the plan, and whoever has read which part of a batch.
#include "galvatron/train/step_runner.h"

#include <array>
#include <mutex>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"

#include "config_error.h"
#include "test_threads.h"
#include "train/tiny_training.h"

namespace galvatron::train {
namespace {

// What became of some steps.
struct Outcome {
  std::vector<double> losses, norms;
  runtime::Scores evaluation;
  at::Tensor logits;  // of the whole batch, in order
};

struct BatchSize {
  std::int64_t samples, tokens;
};

// Batches of several sizes, the last one smaller than the number of microbatches of some plans.
constexpr std::array<BatchSize, 4> kSteps = {{{8, 16}, {8, 12}, {4, 16}, {8, 16}}};

at::Tensor rows(BatchSize size, std::int64_t seed) {
  const at::Tensor numbers = at::arange(size.samples * size.tokens, at::kLong);
  return numbers.mul(31 + seed).add(7 * seed).remainder(101).view({size.samples, size.tokens});
}

BatchPart part_of(const at::Tensor& tokens, int count, int part) {
  const std::int64_t share = tokens.size(0) / count;
  const at::Tensor mine = tokens.narrow(0, part * share, share);
  at::Tensor labels = at::full_like(mine, -100);
  labels.narrow(1, 0, mine.size(1) - 1).copy_(mine.narrow(1, 1, mine.size(1) - 1));
  return {{spec::InputKind::kTokens, mine}, {spec::InputKind::kLabels, labels}};
}

void run_rank(StepRunner& runner, Outcome& out, std::vector<at::Tensor>& logits) {
  const int count = runner.parts().count(), part = runner.parts().of(runner.rank());
  runner.set_optimizer({"adamw", {{"weight_decay", 0.1}}});
  Outcome mine;
  for (std::size_t i = 0; i < kSteps.size(); ++i) {
    const at::Tensor tokens = rows(kSteps[i], static_cast<std::int64_t>(i));
    mine.losses.push_back(runner.forward_backward(part_of(tokens, count, part)));
    runner.scale_gradients(2);
    if (i % 2 == 0) runner.clip_norm(0.5);
    if (i % 2 == 1) runner.clip_values(0.01);
    mine.norms.push_back(runner.gradient_norm());
    EXPECT_TRUE(runner.update(3e-3));
  }
  const at::Tensor tokens = rows({8, 14}, 9);
  mine.evaluation = runner.evaluate(part_of(tokens, count, part));
  BatchPart reading = part_of(tokens, count, part);
  reading.erase(spec::InputKind::kLabels);  // nobody needs them
  logits[static_cast<std::size_t>(part)] = runner.logits(reading);
  if (runner.rank() == 0) out = mine;
}

Outcome outcome_of(const plan::Plan& plan) {
  Outcome out;
  std::vector<at::Tensor> logits(static_cast<std::size_t>(BatchParts(plan).count()));
  std::mutex mutex;
  comm::run_rank_threads(plan.world_size, [&](comm::World& world) {
    use_test_threads();
    StepRunner runner(tiny_gpt(), plan, world, {kSeed, kSeqLength, true});
    std::vector<at::Tensor> mine(logits.size());
    run_rank(runner, out, mine);
    const std::lock_guard lock(mutex);
    for (std::size_t part = 0; part < mine.size(); ++part) {
      if (mine[part].defined()) logits[part] = mine[part];
    }
  });
  out.logits = at::cat(logits);
  return out;
}

void expect_same(const plan::Plan& plan) {
  static const Outcome one_rank = outcome_of(make_plan(1, {}, 1, 1, spec::Precision::kFp64));
  ASSERT_EQ(one_rank.logits.sizes(), (std::vector<std::int64_t>{8, 14, 101}));
  ASSERT_NE(one_rank.losses[0], one_rank.losses[3]);
  const Outcome found = outcome_of(plan);
  for (std::size_t i = 0; i < kSteps.size(); ++i) {
    EXPECT_NEAR(found.losses[i], one_rank.losses[i], 1e-9);
    EXPECT_NEAR(found.norms[i], one_rank.norms[i], 1e-9);
  }
  EXPECT_NEAR(found.evaluation.loss, one_rank.evaluation.loss, 1e-9);
  EXPECT_EQ(found.evaluation.accuracy, one_rank.evaluation.accuracy);
  EXPECT_LT((found.logits - one_rank.logits).abs().max().item<double>(), 1e-9);
}

plan::Plan in_double(plan::Plan plan) {
  plan.precision = spec::Precision::kFp64;
  return plan;
}

TEST(StepRunner, EveryPlanDoesTheSameSteps) {
  expect_same(make_plan(4, {.zero_stage = 3}, 1, 2, spec::Precision::kFp64));
  expect_same(make_plan(4, {.tp_degree = 2}, 2, 8, spec::Precision::kFp64));
  expect_same(in_double(mixed_plan()));
}

TEST(StepRunner, LayersMayDivideTheBatchInOtherWaysThanItsReaders) {
  plan::Plan plan = make_plan(4, {}, 1, 3, spec::Precision::kFp64);
  plan.layers.front() = plan.layers.back() = {.tp_degree = 4};  // one part
  expect_same(plan);
  plan.layers.front() = plan.layers.back() = {.tp_degree = 2, .tp_consecutive = false};
  expect_same(plan);
}

// Runs `body(runner)` on every rank of a plan and returns what a rank says.
template <typename Body>
std::string refusal(const plan::Plan& plan, const Body& body) {
  std::string said;
  std::mutex mutex;
  comm::run_rank_threads(plan.world_size, [&](comm::World& world) {
    use_test_threads();
    StepRunner runner(tiny_gpt(), plan, world, {kSeed, kSeqLength, true});
    runner.set_optimizer({});
    try {
      body(runner);
    } catch (const ConfigError& error) {
      const std::lock_guard lock(mutex);
      EXPECT_TRUE(said.empty() || said == error.what());
      said = error.what();
    }
  });
  return said;
}

TEST(StepRunner, RanksOfOnePartMustReadTheSame) {
  const std::string said = refusal(make_plan(2, {.tp_degree = 2}), [](StepRunner& runner) {
    runner.forward_backward(part_of(rows({8, 16}, runner.rank()), 1, 0));
  });
  EXPECT_NE(said.find("ranks 0 and 1 must read the same samples"), std::string::npos) << said;
}

// As collators make batches: each as long as its longest sample.
TEST(StepRunner, ShorterSamplesOfARankArePadded) {
  const std::array<BatchPart, 2> parts = {part_of(rows({4, 16}, 0), 1, 0),
                                          part_of(rows({4, 11}, 5), 1, 0)};
  std::array<double, 2> alone{}, together{};
  std::array<at::Tensor, 2> logits_alone, logits_together;
  comm::run_rank_threads(1, [&](comm::World& world) {
    use_test_threads();
    StepRunner runner(tiny_gpt(), make_plan(1, {}, 1, 1, spec::Precision::kFp64), world,
                      {kSeed, kSeqLength, true});
    for (std::size_t i = 0; i < 2; ++i) {
      alone[i] = runner.evaluate(parts[i]).loss;
      logits_alone[i] = runner.logits(parts[i]);
    }
  });
  comm::run_rank_threads(2, [&](comm::World& world) {
    use_test_threads();
    StepRunner runner(tiny_gpt(), make_plan(2, {}, 1, 1, spec::Precision::kFp64), world,
                      {kSeed, kSeqLength, true});
    const auto rank = static_cast<std::size_t>(world.rank());
    together[rank] = runner.evaluate(parts[rank]).loss;
    logits_together[rank] = runner.logits(parts[rank]);
  });
  const double mean = (alone[0] * 4 * 15 + alone[1] * 4 * 10) / (4 * 25);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(together[i], mean, 1e-12 * mean);
    EXPECT_EQ(logits_together[i].sizes(), logits_alone[i].sizes());
    EXPECT_LE((logits_together[i] - logits_alone[i]).abs().max().item<double>(), 1e-12);
  }
}

TEST(StepRunner, ABatchWithoutLabelsIsRefused) {
  const std::string said = refusal(make_plan(2, {}), [](StepRunner& runner) {
    BatchPart part = part_of(rows({4, 16}, 0), 1, 0);
    part[spec::InputKind::kLabels].fill_(-100);
    runner.forward_backward(part);
  });
  EXPECT_NE(said.find("no label of the batch counts"), std::string::npos) << said;
}

TEST(StepRunner, RanksWithoutSamplesTakePart) {
  const plan::Plan plan = make_plan(2, {}, 1, 2);
  comm::run_rank_threads(plan.world_size, [&](comm::World& world) {
    use_test_threads();
    StepRunner runner(tiny_gpt(), plan, world, {kSeed, kSeqLength, true});
    BatchPart part = part_of(rows({3, 16}, 0), 1, 0);
    if (world.rank() == 1) part.clear();
    const at::Tensor logits = runner.logits(part);
    EXPECT_EQ(logits.size(0), world.rank() == 0 ? 3 : 0);
    EXPECT_FALSE(runner.logits({}).defined());  // of nobody
  });
}

TEST(StepRunner, WholeTensorsComeBackToTheBitUnderAnotherPlan) {
  const at::Tensor tokens = rows({8, 16}, 1);
  const auto train = [&](StepRunner& runner) {
    runner.set_optimizer({});
    runner.forward_backward(
        part_of(tokens, runner.parts().count(), runner.parts().of(runner.rank())));
    runner.update(1e-2);
  };
  std::map<std::string, NamedTensors> first, second;
  const auto keep = [](StepRunner& runner, std::map<std::string, NamedTensors>& to) {
    for (const char* part : {"weights", "exp_avg", "exp_avg_sq"}) {
      NamedTensors tensors = runner.whole_tensors(part);
      if (runner.rank() == 0) to[part] = std::move(tensors);
    }
  };
  comm::run_rank_threads(4, [&](comm::World& world) {
    use_test_threads();
    StepRunner runner(tiny_gpt(), mixed_plan(), world, {kSeed, kSeqLength, true});
    train(runner);
    keep(runner, first);
  });
  comm::run_rank_threads(2, [&](comm::World& world) {
    use_test_threads();
    StepRunner runner(tiny_gpt(), make_plan(2, {.zero_stage = 3}), world,
                      {kSeed + 1, kSeqLength, true});
    runner.set_optimizer({});
    for (const auto& [part, tensors] : first)
      runner.assign(part, [&](const std::string& name) { return tensors.at(name); });
    keep(runner, second);
  });
  ASSERT_EQ(first.size(), 3U);
  for (const auto& [part, tensors] : first) {
    for (const auto& [name, value] : tensors)
      EXPECT_TRUE(at::equal(value, second.at(part).at(name))) << part << " " << name;
  }
}

}  // namespace
}  // namespace galvatron::train
