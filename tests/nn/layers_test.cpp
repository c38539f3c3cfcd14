// The parts of a Transformer layer against torch's own operators, in fp64.
#include <cmath>
#include <tuple>

#include <gtest/gtest.h>

#include "galvatron/base/partition.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/comm/world.h"
#include "galvatron/nn/counter_random.h"
#include "galvatron/nn/cross_entropy.h"
#include "galvatron/nn/dropout.h"
#include "galvatron/nn/layer.h"
#include "galvatron/nn/mixed_product.h"
#include "galvatron/nn/norm.h"
#include "galvatron/nn/recompute.h"
#include "galvatron/nn/relative_bias.h"
#include "galvatron/nn/rotary.h"

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
      linear_cross_entropy(hidden, weight, bias, labels, {0, 11, cap}, comm::Group());
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
  const at::Tensor ours =
      linear_cross_entropy(hidden, weight, bias, labels, {0, 11}, comm::Group(), 0.25);
  const at::Tensor torchs = at::cross_entropy_loss(at::linear(hidden, weight, bias), labels, {},
                                                   at::Reduction::Sum, kIgnoreLabel);
  expect_close(ours, torchs, 1e-10);
  const auto a = torch::autograd::grad({ours}, {hidden, weight, bias});
  const auto b =
      torch::autograd::grad({torchs}, {hidden, weight, bias}, {at::full({}, 0.25, at::kDouble)});
  for (std::size_t i = 0; i < a.size(); ++i) expect_close(a[i], b[i]);
  EXPECT_EQ(a[0][4].abs().sum().item<double>(), 0);
}

// Two classes with shares, and smoothing, as torch has them of a dense matrix of probabilities.
TEST(LinearCrossEntropy, TakesSoftTargets) {
  const at::Tensor hidden = random({130, 6}, 1), weight = random({11, 6}, 2),
                   bias = random({11}, 3);
  at::Tensor labels = at::arange(130) % 11;
  const at::Tensor second = at::arange(130).mul(7).add(3) % 11,
                   share = at::arange(130).to(at::kDouble).mul(0.37).frac();
  const at::Tensor both = at::stack({second.to(at::kDouble), share}, 1);
  at::Tensor dense = at::zeros({130, 11}, at::kDouble);
  dense.scatter_add_(1, labels.unsqueeze(1), (1 - share).unsqueeze(1));
  dense.scatter_add_(1, second.unsqueeze(1), share.unsqueeze(1));
  const at::Tensor logits = at::linear(hidden, weight, bias);
  for (const double smoothing : {0.0, 0.1}) {
    const auto check = [&](const SoftTargets& soft, const at::Tensor& torchs_target) {
      const at::Tensor ours =
          linear_cross_entropy(hidden, weight, bias, labels, {0, 11}, comm::Group(), 1, soft);
      const at::Tensor torchs = at::cross_entropy_loss(logits, torchs_target, {},
                                                       at::Reduction::Sum, kIgnoreLabel, smoothing);
      expect_close(ours, torchs, 1e-10);
      const auto a = torch::autograd::grad({ours}, {hidden, weight, bias});
      const auto b = torch::autograd::grad({torchs}, {hidden, weight, bias}, {},
                                           /*retain_graph=*/true);
      for (std::size_t i = 0; i < a.size(); ++i) expect_close(a[i], b[i]);
    };
    check({both, smoothing}, dense);
    labels[4] = kIgnoreLabel;
    check({{}, smoothing}, labels);
    labels[4] = 4;
  }
}

// Loss and gradients as three ranks have them that divide the vocabulary.
TEST(LinearCrossEntropy, DoesNotDependOnHowTheVocabularyIsDivided) {
  const at::Tensor hidden = random({130, 6}, 1), weight = random({11, 6}, 2),
                   bias = random({11}, 3);
  at::Tensor labels = at::arange(130) % 11;
  labels.narrow(0, 20, 30).fill_(kIgnoreLabel);
  const double scale = 0.125;
  const at::Tensor second = at::arange(130).mul(7).add(3) % 11,
                   share = at::arange(130).to(at::kDouble).mul(0.37).frac();
  const SoftTargets soft{at::stack({second.to(at::kDouble), share}, 1), 0.1};
  const at::Tensor whole =
      linear_cross_entropy(hidden, weight, bias, labels, {0, 11, 2.5}, comm::Group(), scale, soft);
  const auto expected = torch::autograd::grad({whole}, {hidden, weight, bias});
  at::Tensor grad_hidden = at::zeros({3, 130, 6}, at::kDouble),
             grad_weight = at::zeros_like(weight), grad_bias = at::zeros_like(bias),
             losses = at::zeros({3}, at::kDouble);
  comm::run_rank_threads(3, [&](comm::World& world) {
    const Range rows = chunk(11, 3, world.rank());
    const auto mine = [&](const at::Tensor& x) {
      return x.detach().narrow(0, rows.begin, rows.size()).requires_grad_(true);
    };
    const at::Tensor x = hidden.detach().requires_grad_(true), w = mine(weight), b = mine(bias);
    const at::Tensor loss =
        linear_cross_entropy(x, w, b, labels, {rows.begin, 11, 2.5}, world.all(), scale, soft);
    const auto grads = torch::autograd::grad({loss}, {x, w, b});
    losses[world.rank()].copy_(loss.detach());
    grad_hidden[world.rank()].copy_(grads[0]);
    grad_weight.narrow(0, rows.begin, rows.size()).copy_(grads[1]);
    grad_bias.narrow(0, rows.begin, rows.size()).copy_(grads[2]);
  });
  EXPECT_TRUE(losses.eq(losses[0]).all().item<bool>()) << losses;
  expect_close(losses[0], whole.detach(), 1e-10);
  expect_close(grad_hidden.sum(0), expected[0]);
  expect_close(grad_weight, expected[1]);
  expect_close(grad_bias, expected[2]);
}

// In bf16 the logits' gradient is rounded once, without the scale; the weight's is a sum in fp32.
TEST(LinearCrossEntropy, RoundsGradientsOnce) {
  const std::int64_t tokens = 512, vocab = 30'000, width = 64;
  const at::Tensor hidden = random({tokens, width}, 1).detach().mul(0.1).to(at::kBFloat16),
                   weight = random({vocab, width}, 2).detach().to(at::kBFloat16);
  const at::Tensor labels = at::arange(tokens) * 7 % vocab;
  ASSERT_LT(cross_entropy_chunk(vocab, 1, c10::kCPU), tokens);
  const auto gradients = [&](at::ScalarType type, double scale) {
    const at::Tensor
        x = hidden.to(type, /*non_blocking=*/false, /*copy=*/true).requires_grad_(true),
        w = weight.to(type, /*non_blocking=*/false, /*copy=*/true).requires_grad_(true);
    w.set_grad_dtype(std::nullopt);
    return torch::autograd::grad(
        {linear_cross_entropy(x, w, {}, labels, {0, vocab}, comm::Group(), scale)}, {x, w});
  };
  for (const double scale : {1.0 / 3, 1.0 / 3'000'001}) {  // no powers of two
    const auto narrow = gradients(at::kBFloat16, scale), exact = gradients(at::kDouble, scale);
    EXPECT_EQ(narrow[1].scalar_type(), at::kFloat);
    for (const std::size_t i : {0, 1}) {
      const at::Tensor ours = narrow[i].to(at::kDouble);
      EXPECT_LT(((ours - exact[i]).norm() / exact[i].norm()).item<double>(), 6e-3) << i;
      // Roundings that lean to one side would show in the sum over all rows, where others cancel.
      // The labels' own, from -(1 - p) to -1, are the mean probability: 1 / vocab.
      const at::Tensor size = (ours * exact[i]).sum() / exact[i].square().sum();
      EXPECT_NEAR(size.item<double>(), 1, 1e-4) << i;
    }
  }
}

// fp16 has no numbers below 6e-8, where most probabilities of a large vocabulary lie.
TEST(LinearCrossEntropy, KeepsSmallProbabilitiesInFp16) {
  const std::int64_t tokens = 8, vocab = 20'000, width = 4;
  const at::Tensor hidden = at::zeros({tokens, width}, at::kHalf);
  at::Tensor weight = at::ones({vocab, width}, at::kHalf);
  weight.narrow(0, 0, 1).fill_(4.625);  // the others have a probability of 5e-7
  const auto gradient_of = [&](at::ScalarType type) {
    const at::Tensor x = (hidden.to(type) + 1).requires_grad_(true);
    const at::Tensor loss = linear_cross_entropy(
        x, weight.to(type), {}, at::zeros({tokens}, at::kLong), {0, vocab}, comm::Group(), 0.7);
    return torch::autograd::grad({loss}, {x})[0].to(at::kDouble);
  };
  const at::Tensor exact = gradient_of(at::kDouble);
  EXPECT_LT(((gradient_of(at::kHalf) - exact).norm() / exact.norm()).item<double>(), 2e-3);
}

TEST(AddProduct, AddsUpInTheTypeOfTheSum) {
  for (const at::ScalarType narrow : {at::kDouble, at::kFloat, at::kBFloat16}) {
    for (const auto& [rows, m, n] :
         {std::tuple{1, 1, 1}, {7, 3, 5}, {33, 129, 17}, {64, 2000, 700}}) {
      const at::Tensor a = random({rows, m + 2}, 1).detach().to(narrow).narrow(1, 1, m),
                       b = random({rows, n}, 2).detach().to(narrow);
      const at::ScalarType wide = narrow == at::kDouble ? at::kDouble : at::kFloat;
      at::Tensor sum = at::full({m, n}, std::nan(""), wide);
      add_product(sum, a, b, 0.3, IntoSum::kSet);
      const at::Tensor expected = a.to(at::kDouble).t().mm(b.to(at::kDouble)) * 0.3;
      const double bound = narrow == at::kDouble ? 1e-12 : narrow == at::kFloat ? 1e-4 : 0.1;
      expect_close(sum.to(at::kDouble), expected, bound);
      add_product(sum, a, b, 0.3, IntoSum::kAdd);
      expect_close(sum.to(at::kDouble), expected * 2, 2 * bound);
    }
  }
  at::Tensor nothing = at::full({2, 3}, 1.0);
  add_product(nothing, at::empty({0, 2}), at::empty({0, 3}), 1, IntoSum::kAdd);
  EXPECT_EQ(nothing.sum().item<float>(), 6);
  add_product(nothing, at::empty({0, 2}), at::empty({0, 3}), 1, IntoSum::kSet);
  EXPECT_EQ(nothing.sum().item<float>(), 0);
}

// --- rotary ---

// As Hugging Face writes it: x cos + rotate_half(x) sin.
at::Tensor turned_by_halves(const at::Tensor& x, const Rotary& rotary,
                            const at::Tensor& positions) {
  const at::Tensor angles =
      positions.to(at::kDouble).unsqueeze(-1) * at::tensor(rotary.inverse_frequencies, at::kDouble);
  const at::Tensor both = at::cat({angles, angles}, -1).unsqueeze(-2);
  const std::int64_t half = angles.size(-1);
  const at::Tensor turning = x.narrow(3, 0, 2 * half);
  const at::Tensor crossed =
      at::cat({turning.narrow(3, half, half).neg(), turning.narrow(3, 0, half)}, 3);
  const at::Tensor out = (turning * both.cos() + crossed * both.sin()) * rotary.scale;
  return at::cat({out, x.narrow(3, 2 * half, x.size(3) - 2 * half)}, 3);
}

TEST(Rotary, TurnsPairsWithTheirGradients) {
  const Rotary rotary{{1, 0.3, 0.01}, 1.25};
  const at::Tensor all = random({2, 7, 5, 9}, 1), grad = random({2, 7, 3, 9}, 2).detach();
  const at::Tensor x = all.narrow(2, 1, 3);  // not contiguous, with dims that stay
  LayerCall call;
  Tables tables;
  const auto expect_same = [&](const at::Tensor& positions) {
    const at::Tensor ours = rotated(x, rotary, call),
                     plain = turned_by_halves(x, rotary, positions);
    expect_close(ours, plain, 1e-13);
    expect_close(torch::autograd::grad({ours}, {all}, {grad})[0],
                 torch::autograd::grad({plain}, {all}, {grad})[0], 1e-13);
  };
  expect_same(at::arange(7));
  call.tables = &tables;
  rotated(random({1, 20, 1, 9}, 3), rotary, call);  // a longer table is made
  expect_same(at::arange(7));
  call.documents.positions_BL =
      at::tensor({0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 99}).view({2, 7});
  expect_same(call.documents.positions_BL);
}

TEST(Tables, KeepTheLongestOfAKind) {
  Tables tables;
  int made = 0;
  const auto make = [&](std::int64_t length) {
    ++made;
    return at::arange(length);
  };
  const Tables::Key key{TableKind::kRotary, {1, 2}}, other{TableKind::kRotary, {1, 3}};
  EXPECT_EQ(tables.get(key, 5, make).numel(), 5);
  EXPECT_EQ(tables.get(key, 3, make).numel(), 5);
  EXPECT_EQ(made, 1);
  EXPECT_EQ(tables.get(key, 6, make).numel(), 6);
  EXPECT_EQ(tables.get(other, 1, make).numel(), 1);
  EXPECT_EQ(made, 3);
}

TEST(LinearCrossEntropy, ManyChunksEqualOne) {
  // A vocabulary this large leaves 64 tokens a chunk.
  const std::int64_t vocab = 200'000, tokens = 150;
  ASSERT_LT(cross_entropy_chunk(vocab, 1, c10::kCPU), tokens);
  const at::Tensor hidden = random({tokens, 2}, 1), weight = random({vocab, 2}, 2);
  const at::Tensor labels = at::arange(tokens) * 997;
  const at::Tensor ours =
      linear_cross_entropy(hidden, weight, {}, labels, {0, vocab}, comm::Group());
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
                                          labels, {rows.begin, weight.size(0)}, world.all()));
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
  const at::Tensor alone = linear_scores(hidden, weight, {}, labels, {0, 11}, comm::Group());
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
  EXPECT_EQ(linear_scores(hidden, weight, {}, labels, {0, 11}, comm::Group())[1].item<double>(), 1);
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
  const at::Tensor whole = relative_bias(table, bias, {3, 5}, length, {});
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

// The kernel that draws while it multiplies, beside the mask as a tensor.
TEST(Dropout, KernelDropsWhatTheMaskSays) {
  const std::uint64_t key = random_key(3, "site");
  const at::Tensor x = random({3, 2, 5, 37}, 1).detach().transpose(0, 2);  // [5, 2, 3, 37]
  const Places places{1'000'003, {77'777, 5'000, 41}};
  const auto steps = [](std::int64_t count, std::int64_t stride) {
    return at::arange(count) * stride;
  };
  const at::Tensor index = (steps(5, 77'777) + 1'000'003).view({-1, 1, 1, 1}) +
                           steps(2, 5'000).view({-1, 1, 1}) + steps(3, 41).view({-1, 1}) +
                           steps(37, 1);
  const at::Tensor keep = keep_mask(index, key, 0.3);
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf}) {
    const at::Tensor in = x.to(type);
    const at::ScalarType wide = type == at::kDouble ? at::kDouble : at::kFloat;
    const at::Tensor expected = (in.to(wide) * (1 / 0.7)).to(type) * keep.to(type);
    EXPECT_TRUE(at::allclose(kept_and_scaled(in, places, key, 0.3, 1 / 0.7).to(at::kDouble),
                             expected.to(at::kDouble), 0, type == at::kDouble ? 1e-15 : 0))
        << type;
  }
}

// 1 / (1 - p) rounded to bf16 would be 0.16 % off.
TEST(Dropout, KeepsTheMeanInHalfPrecision) {
  const Dropout options{0.1, random_key(3, "site")};
  const at::Tensor x = random({16, 256, 256}, 1).detach().abs().to(at::kBFloat16);
  const LayerCall call = call_for({0, 16}, {0, 256}, 256);
  const at::Tensor y = dropout(x, options, call).to(at::kDouble),
                   exact = dropout(x.to(at::kDouble), options, call);
  EXPECT_NEAR((y.sum() / exact.sum()).item<double>(), 1, 1e-4);
}

TEST(Dropout, BackwardDropsTheSame) {
  const Dropout options{0.25, random_key(3, "site")};
  const at::Tensor x = random({4, 10, 6}, 1), grad = random({4, 10, 6}, 2).detach();
  const at::Tensor y = dropout(x, options, call_for({8, 12}, {0, 10}, 10));
  expect_close(torch::autograd::grad({y}, {x}, {grad})[0], grad * y.ne(0) / 0.75, 1e-14);
}

// What accelerators use, drawn here from the CPU's generator.
TEST(Dropout, SampleMasksDependOnTheGlobalPositionOnly) {
  const Dropout options{0.25, random_key(3, "site")};
  const at::Tensor whole = sample_masks(at::empty({4, 10, 6}), {8, 0, 10, 0, 6}, options);
  EXPECT_NEAR(whole.to(at::kDouble).mean().item<double>(), 0.75, 0.1);
  const at::Tensor part = sample_masks(at::empty({2, 4, 2}), {9, 3, 10, 1, 6}, options);
  EXPECT_TRUE(at::equal(part, whole.narrow(0, 1, 2).narrow(1, 3, 4).narrow(2, 1, 2)));
  EXPECT_FALSE(at::equal(whole[0], whole[1]));
}

}  // namespace
}  // namespace galvatron::nn
