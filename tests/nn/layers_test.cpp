// The parts of a Transformer layer against torch's own operators, in fp64.
#include <gtest/gtest.h>

#include "galvatron/base/partition.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/comm/world.h"
#include "galvatron/nn/counter_random.h"
#include "galvatron/nn/cross_entropy.h"
#include "galvatron/nn/dropout.h"
#include "galvatron/nn/layer.h"
#include "galvatron/nn/norm.h"
#include "galvatron/nn/recompute.h"
#include "galvatron/nn/relative_bias.h"

namespace galvatron::nn {
namespace {

at::Tensor random(at::IntArrayRef shape, std::uint64_t seed) {
  at::Tensor out = at::empty(shape, at::kDouble);
  fill_normal(out.data_ptr<double>(), out.numel(), seed, 0, 1);
  return out.requires_grad_(true);
}

void expect_close(const at::Tensor& a, const at::Tensor& b, double tolerance = 1e-12) {
  ASSERT_EQ(a.sizes(), b.sizes());
  EXPECT_LE((a - b).abs().max().item<double>(), tolerance);
}

TEST(RmsNorm, EqualsTorchWithItsGradients) {
  const at::Tensor x = random({3, 5, 8}, 1), weight = random({8}, 2),
                   grad = random({3, 5, 8}, 3).detach();
  const at::Tensor ours = rms_norm(x, weight, 1e-6), torchs = at::rms_norm(x, {8}, weight, 1e-6);
  expect_close(ours, torchs);
  const auto a = torch::autograd::grad({ours}, {x, weight}, {grad});
  const auto b = torch::autograd::grad({torchs}, {x, weight}, {grad});
  expect_close(a[0], b[0]);
  expect_close(a[1], b[1]);
}

TEST(RmsNorm, AnOffsetIsAddedToTheWeight) {
  const at::Tensor x = random({3, 5, 8}, 1), weight = random({8}, 2),
                   grad = random({3, 5, 8}, 3).detach();
  const at::Tensor ours = rms_norm(x, weight, 1e-6, /*offset=*/1),
                   torchs = at::rms_norm(x, {8}, weight + 1, 1e-6);
  expect_close(ours, torchs);
  const auto a = torch::autograd::grad({ours}, {x, weight}, {grad});
  const auto b = torch::autograd::grad({torchs}, {x, weight}, {grad});
  expect_close(a[0], b[0]);
  expect_close(a[1], b[1]);
}

TEST(LinearCrossEntropy, CapsLogitsWithTheirGradients) {
  const at::Tensor hidden = random({30, 6}, 1), weight = random({11, 6}, 2), bias = random({11}, 3);
  const at::Tensor labels = at::arange(30) % 11;
  const double cap = 1.5;
  const at::Tensor ours =
      linear_cross_entropy(hidden, weight, bias, labels, 0, 11, comm::Group(), cap);
  const at::Tensor logits = (at::linear(hidden, weight, bias) / cap).tanh() * cap;
  expect_close(linear_logits(hidden, weight, bias, cap), logits);
  const at::Tensor torchs = at::cross_entropy_loss(logits, labels, {}, at::Reduction::Sum);
  expect_close(ours, torchs, 1e-11);
  const auto a = torch::autograd::grad({ours}, {hidden, weight, bias});
  const auto b = torch::autograd::grad({torchs}, {hidden, weight, bias});
  for (std::size_t i = 0; i < a.size(); ++i) expect_close(a[i], b[i]);
}

TEST(LinearCrossEntropy, EqualsTorchAndSkipsIgnoredLabels) {
  const at::Tensor hidden = random({130, 6}, 1), weight = random({11, 6}, 2),
                   bias = random({11}, 3);
  at::Tensor labels = at::arange(130) % 11;
  labels[4] = kIgnoreLabel;
  const at::Tensor ours = linear_cross_entropy(hidden, weight, bias, labels, 0, 11, comm::Group());
  const at::Tensor torchs = at::cross_entropy_loss(at::linear(hidden, weight, bias), labels, {},
                                                   at::Reduction::Sum, kIgnoreLabel);
  expect_close(ours, torchs, 1e-10);
  const auto a =
      torch::autograd::grad({ours}, {hidden, weight, bias}, {at::full({}, 0.25, at::kDouble)});
  const auto b =
      torch::autograd::grad({torchs}, {hidden, weight, bias}, {at::full({}, 0.25, at::kDouble)});
  for (std::size_t i = 0; i < a.size(); ++i) expect_close(a[i], b[i]);
  EXPECT_EQ(a[0][4].abs().sum().item<double>(), 0);
}

TEST(LinearCrossEntropy, ManyChunksEqualOne) {
  // A vocabulary this large leaves 64 tokens a chunk.
  const std::int64_t vocab = 200'000, tokens = 150;
  ASSERT_LT(cross_entropy_chunk(vocab, 1), tokens);
  const at::Tensor hidden = random({tokens, 2}, 1), weight = random({vocab, 2}, 2);
  const at::Tensor labels = at::arange(tokens) * 997;
  const at::Tensor ours = linear_cross_entropy(hidden, weight, {}, labels, 0, vocab, comm::Group());
  const at::Tensor torchs =
      at::cross_entropy_loss(at::linear(hidden, weight), labels, {}, at::Reduction::Sum);
  expect_close(ours, torchs, 1e-8);
  const auto a = torch::autograd::grad({ours}, {weight});
  const auto b = torch::autograd::grad({torchs}, {weight});
  expect_close(a[0], b[0], 1e-10);
}

// Scores as three ranks have them that divide the vocabulary.
at::Tensor divided_scores(const at::Tensor& hidden, const at::Tensor& weight,
                          const at::Tensor& labels) {
  const at::Tensor out = at::zeros({3, 2}, at::kDouble);
  comm::run_rank_threads(3, [&](comm::World& world) {
    const Range rows = chunk(weight.size(0), 3, world.rank());
    out[world.rank()].copy_(linear_scores(hidden, weight.narrow(0, rows.begin, rows.size()), {},
                                          labels, rows.begin, weight.size(0), world.all()));
  });
  EXPECT_TRUE(at::equal(out[0], out[1]) && at::equal(out[0], out[2]));
  return out[0];
}

TEST(LinearScores, CountLabelsWithTheHighestLogitHoweverTheVocabularyIsDivided) {
  const at::Tensor hidden = random({130, 6}, 1).detach(), weight = random({11, 6}, 2).detach();
  const at::Tensor logits = at::linear(hidden, weight);
  at::Tensor labels = logits.argmax(1);
  labels.narrow(0, 0, 60).add_(1).remainder_(11);
  labels.narrow(0, 100, 7).fill_(kIgnoreLabel);
  const at::Tensor alone = linear_scores(hidden, weight, {}, labels, 0, 11, comm::Group());
  EXPECT_EQ(alone[1].item<double>(), 130 - 60 - 7);
  expect_close(alone[0],
               at::cross_entropy_loss(logits, labels, {}, at::Reduction::Sum, kIgnoreLabel), 1e-10);
  const at::Tensor divided = divided_scores(hidden, weight, labels);
  expect_close(divided[0], alone[0], 1e-10);
  EXPECT_EQ(divided[1].item<double>(), alone[1].item<double>());
}

TEST(LinearScores, OfEqualLogitsTheFirstCounts) {
  const at::Tensor hidden = at::ones({11, 1}, at::kDouble), weight = at::ones({11, 1}, at::kDouble);
  const at::Tensor labels = at::arange(11);
  EXPECT_EQ(linear_scores(hidden, weight, {}, labels, 0, 11, comm::Group())[1].item<double>(), 1);
  EXPECT_EQ(divided_scores(hidden, weight, labels)[1].item<double>(), 1);
  EXPECT_EQ(divided_scores(hidden, weight, at::full({11}, 4))[1].item<double>(), 0);
}

TEST(Recomputed, SameValueAndGradient) {
  const at::Tensor x = random({4, 4}, 1), z = random({4}, 2);
  const auto fn = [](const std::vector<at::Tensor>& in) { return (in[0].sin() * in[1]).exp(); };
  const at::Tensor kept = fn({x, z}).sum(), again = recomputed(fn, {x, z}).sum();
  EXPECT_TRUE(at::equal(kept, again));
  const auto a = torch::autograd::grad({kept}, {x, z}), b = torch::autograd::grad({again}, {x, z});
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << i;
}

std::vector<std::int64_t> buckets_of(const RelativeBias& bias, std::int64_t length) {
  const at::Tensor buckets = relative_buckets(bias, length);
  const auto* data = buckets.data_ptr<std::int64_t>();
  return {data, data + buckets.numel()};
}

// The numbers that transformers' T5Attention._relative_position_bucket gives.
TEST(RelativeBias, BucketsAreExactThenLogarithmic) {
  EXPECT_EQ(buckets_of({8, 16, true}, 9),
            (std::vector<std::int64_t>{3, 3, 3, 2, 2, 2, 2, 1, 0, 5, 6, 6, 6, 6, 7, 7, 7}));
  EXPECT_EQ(buckets_of({8, 16, false}, 9),
            (std::vector<std::int64_t>{6, 5, 5, 4, 4, 3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(RelativeBias, IsTheTablesEntryForEachDistanceAndHead) {
  const RelativeBias bias{8, 16, true};
  const std::int64_t length = 7;
  const at::Tensor table = random({8, 6}, 1), grad = random({1, 2, length, length}, 2).detach();
  const at::Tensor whole = relative_bias(table, bias, {3, 5}, length);
  ASSERT_EQ(whole.sizes(), (at::IntArrayRef{1, 2, length, length}));
  const std::vector<std::int64_t> buckets = buckets_of(bias, length);
  at::Tensor expected_grad = at::zeros({8, 6}, at::kDouble);
  for (std::int64_t h = 0; h < 2; ++h) {
    for (std::int64_t q = 0; q < length; ++q) {
      for (std::int64_t k = 0; k < length; ++k) {
        const std::int64_t bucket = buckets[static_cast<std::size_t>(k - q + length - 1)];
        EXPECT_EQ(whole[0][h][q][k].item<double>(), table[bucket][3 + h].item<double>());
        expected_grad[bucket][3 + h] += grad[0][h][q][k];
      }
    }
  }
  expect_close(torch::autograd::grad({whole}, {table}, {grad})[0], expected_grad);
}

TEST(CounterRandom, IsNormalAndAddressable) {
  at::Tensor all = at::empty({200'000}, at::kDouble), part = at::empty({1000}, at::kDouble);
  fill_normal(all.data_ptr<double>(), all.numel(), 7, 0, 2);
  fill_normal(part.data_ptr<double>(), part.numel(), 7, 500, 2);
  EXPECT_TRUE(at::equal(all.narrow(0, 500, 1000), part));
  EXPECT_NEAR(all.mean().item<double>(), 0, 0.02);
  EXPECT_NEAR(all.std().item<double>(), 2, 0.02);
  EXPECT_NEAR((all.abs() < 2).to(at::kDouble).mean().item<double>(), 0.6827, 0.005);
  EXPECT_NE(random_key(1, "a"), random_key(1, "b"));
  EXPECT_NE(random_key(1, "a"), random_key(2, "a"));
}

LayerCall call_for(Range samples, Range tokens, std::int64_t length) {
  LayerCall call;
  call.first_sample = samples.begin;
  call.num_samples = samples.size();
  call.sequence.length = length;
  call.sequence.tokens = tokens;
  return call;
}

TEST(Dropout, InsideTheRegionFeaturesAreDivided) {
  const Dropout options{0.25, random_key(3, "site")};
  const at::Tensor x = at::ones({4, 10, 6}, at::kDouble);
  LayerCall call = call_for({0, 4}, {0, 10}, 10);
  call.sequence.block_tokens = {0, 10};
  const at::Tensor whole = region_dropout(x, options, call, {0, 6}, 6);
  EXPECT_GT(whole.eq(0).sum().item<std::int64_t>(), 20);
  call.first_sample = 1;
  call.sequence.block_tokens = {4, 7};
  const at::Tensor part =
      region_dropout(at::ones({2, 3, 2}, at::kDouble), options, call, {3, 5}, 6);
  EXPECT_TRUE(at::equal(part, whole.slice(0, 1, 3).slice(1, 4, 7).slice(2, 3, 5)));
}

TEST(Dropout, OfAnotherStreamIsAddressedByItsOwnPlace) {
  const Dropout options{0.25, random_key(3, "site")};
  LayerCall call = call_for({0, 4}, {0, 10}, 10);
  const at::Tensor whole = dropout(at::ones({4, 10, 6}, at::kDouble), options, call);
  SequenceSplit context = call.sequence;
  context.tokens = {2, 6};
  call.sequence.length = 5;
  const at::Tensor part = dropout(at::ones({4, 4, 6}, at::kDouble), options, call, context);
  EXPECT_TRUE(at::equal(part, whole.slice(1, 2, 6)));
}

TEST(Dropout, MaskDependsOnTheGlobalPositionOnly) {
  const Dropout options{0.25, random_key(3, "site")};
  const at::Tensor x = at::ones({4, 10, 6}, at::kDouble);
  const at::Tensor whole = dropout(x, options, call_for({8, 12}, {0, 10}, 10));
  const at::Tensor part =
      dropout(x.narrow(0, 1, 2).narrow(1, 3, 4), options, call_for({9, 11}, {3, 7}, 10));
  EXPECT_TRUE(at::equal(whole.narrow(0, 1, 2).narrow(1, 3, 4), part));
  EXPECT_FALSE(
      at::equal(whole, dropout(x, {0.25, random_key(3, "other")}, call_for({8, 12}, {0, 10}, 10))));
}

TEST(Dropout, KeepsTheMeanAndRestsInEvaluation) {
  const Dropout options{0.3, random_key(3, "site")};
  const at::Tensor x = at::ones({8, 64, 64}, at::kDouble);
  LayerCall call = call_for({0, 8}, {0, 64}, 64);
  const at::Tensor y = dropout(x, options, call);
  EXPECT_NEAR(y.mean().item<double>(), 1, 0.02);
  EXPECT_NEAR((y == 0).to(at::kDouble).mean().item<double>(), 0.3, 0.01);
  call.training = false;
  EXPECT_TRUE(at::equal(dropout(x, options, call), x));
}

}  // namespace
}  // namespace galvatron::nn
