// Float8 linears against numbers rounded by hand, multiplied plainly.
#include "galvatron/nn/float8.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "galvatron/base/partition.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/comm/world.h"
#include "galvatron/nn/collectives.h"
#include "galvatron/nn/counter_random.h"

namespace galvatron::nn {
namespace {

struct Format {
  at::ScalarType type;
  int digits;          // significant bits
  int least_exponent;  // of normal numbers
  double most;
};
constexpr Format kE4m3{kFloat8Operand, 4, -6, 448}, kE5m2{kFloat8Gradient, 3, -14, 57344};

at::Tensor normal_numbers(at::IntArrayRef shape, std::uint64_t seed, double scale = 1) {
  at::Tensor out = at::empty(shape, at::kDouble);
  fill_normal(out.data_ptr<double>(), out.numel(), seed, 0, scale);
  return out;
}

// No element is so small beside the largest that the format runs out of exponents.
at::Tensor of_like_size(at::IntArrayRef shape, std::uint64_t seed) {
  const at::Tensor x = normal_numbers(shape, seed);
  return x.sign() * (x.abs() + 0.1);
}

double rounded_by_hand(double x, const Format& format, double scale) {
  if (x == 0) return 0;
  const int exponent = std::max(std::ilogb(x * scale), format.least_exponent);
  const double step = std::ldexp(1, exponent - format.digits + 1);
  return std::nearbyint(x * scale / step) * step / scale;
}

at::Tensor rounded_by_hand(const at::Tensor& x, const Format& format) {
  at::Tensor out = x.to(at::kDouble).contiguous().clone();
  const double largest = out.abs().max().item<double>();
  const double scale = std::exp2(std::floor(std::log2(format.most / largest)));
  auto* numbers = out.data_ptr<double>();
  for (std::int64_t i = 0; i < out.numel(); ++i)
    numbers[i] = rounded_by_hand(numbers[i], format, scale);
  return out;
}

at::Tensor unscaled(const Float8& x) { return x.values.to(at::kDouble) * x.inverse_scale; }

void expect_near_all(const at::Tensor& ours, const at::Tensor& expected, double tolerance) {
  ASSERT_EQ(ours.sizes(), expected.sizes());
  const double scale = expected.abs().max().item<double>();
  EXPECT_LE((ours.to(at::kDouble) - expected).abs().max().item<double>(), tolerance * scale);
}

TEST(Float8, RoundsAsByHand) {
  for (const Format& format : {kE4m3, kE5m2}) {
    for (const double size : {1e-12, 0.02, 1.0, 448.0, 1e9}) {
      const at::Tensor x = normal_numbers({33, 70}, 1, size).to(at::kFloat);
      EXPECT_TRUE(at::equal(unscaled(to_float8(x, format.type)), rounded_by_hand(x, format)));
      const at::Tensor turned = x.t().slice(0, 0, 70, 3);
      EXPECT_FALSE(turned.is_contiguous());
      EXPECT_TRUE(
          at::equal(unscaled(to_float8(turned, format.type)), rounded_by_hand(turned, format)));
    }
  }
}

TEST(Float8, ScalesByAPowerOfTwoIntoTheUpperHalf) {
  for (const Format& format : {kE4m3, kE5m2}) {
    for (const double largest : {448.0, 448.001, 447.9, 1.0, 0x1p-90, 3e-5}) {
      const at::Tensor x = at::full({1, 3}, -largest, at::kFloat);
      const double scale = 1 / to_float8(x, format.type).inverse_scale.item<double>();
      EXPECT_EQ(std::exp2(std::round(std::log2(scale))), scale);
      EXPECT_LE(x.abs().max().item<double>() * scale, format.most);
      EXPECT_GT(x.abs().max().item<double>() * scale, format.most / 2);
    }
    EXPECT_EQ(unscaled(to_float8(at::zeros({4, 4}), format.type)).abs().max().item<double>(), 0);
  }
}

TEST(Float8, AnElementIsRoundedAlikeWhateverSharesItsTensor) {
  const at::Tensor x = normal_numbers({64, 32}, 3), others = normal_numbers({64, 32}, 4, 200);
  for (const Format& format : {kE4m3, kE5m2}) {
    const at::Tensor alone = unscaled(to_float8(x, format.type)),
                     beside =
                         unscaled(to_float8(at::cat({x, others}), format.type)).narrow(0, 0, 64);
    const double largest = others.abs().max().item<double>();
    const at::Tensor small = x.abs() < largest * 0x1p-13;
    EXPECT_TRUE(at::equal(at::where(small, 0, alone), at::where(small, 0, beside)));
    EXPECT_LE((alone - beside).abs().max().item<double>(), largest * 0x1p-17);
  }
}

TEST(Float8, WhatIsNotFiniteStaysSo) {
  for (const double bad : {std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity(), std::nan("")}) {
    at::Tensor x = normal_numbers({3, 16}, 1).to(at::kFloat);
    x[1][2] = bad;
    for (const Format& format : {kE4m3, kE5m2}) {
      const Float8 w = to_float8(at::ones({16, 4}), kFloat8Operand);
      const at::Tensor y = float8_product(to_float8(x, format.type), w, at::kFloat);
      EXPECT_FALSE(y[1].isfinite().any().item<bool>()) << bad;
    }
  }
}

// What a device with float8 products does, here by torch's own for CPUs: odd sizes are padded.
TEST(Float8, BothWaysMultiplyTheSameNumbers) {
  const std::vector<std::vector<std::int64_t>> shapes = {{32, 64, 16}, {7, 13, 5}, {1, 17, 48}};
  for (const auto& shape : shapes) {
    for (const Format& format : {kE4m3, kE5m2}) {
      const Float8 a = to_float8(normal_numbers({shape[0], shape[1]}, 1), format.type),
                   b = to_float8(normal_numbers({shape[2], shape[1]}, 2), kFloat8Operand).t(),
                   turned = to_float8(normal_numbers({shape[1], shape[2]}, 2), kFloat8Operand);
      const at::Tensor bias = normal_numbers({shape[2]}, 3).to(at::kFloat);
      for (const Float8& second : {b, turned}) {
        const auto product = [&](Float8Way way) {
          return float8_product(a, second, at::kFloat, bias, way);
        };
        const at::Tensor expected = unscaled(a).mm(unscaled(second)) + bias;
        expect_near_all(product(Float8Way::kRounded), expected, 1e-6);
        expect_near_all(product(Float8Way::kScaled), expected, 1e-6);
      }
    }
  }
}

struct LinearCase {
  at::Tensor x, weight, bias, grad;
};

// Forward and gradients of numbers rounded by hand.
void expect_as_by_hand(const LinearCase& job) {
  const at::Tensor x = job.x.detach().requires_grad_(), w = job.weight.detach().requires_grad_(),
                   b = job.bias.detach().requires_grad_();
  const at::Tensor y = float8_linear(x, w, b);
  const auto grads = torch::autograd::grad({y}, {x, w, b}, {job.grad});
  const at::Tensor x8 = rounded_by_hand(job.x, kE4m3), w8 = rounded_by_hand(job.weight, kE4m3),
                   grad8 = rounded_by_hand(job.grad, kE5m2);
  const at::Tensor bias = job.bias.to(at::kDouble), grad = job.grad.to(at::kDouble);
  expect_near_all(y.detach(), at::linear(x8, w8, bias), 1e-6);
  expect_near_all(grads[0], at::matmul(grad8, w8), 1e-6);
  expect_near_all(grads[1], grad8.flatten(0, -2).t().mm(x8.flatten(0, -2)), 1e-6);
  expect_near_all(grads[2], grad.flatten(0, -2).sum(0), 1e-6);
}

TEST(Float8Linear, EqualsNumbersRoundedByHand) {
  const auto fp32 = [](at::IntArrayRef shape, std::uint64_t seed) {
    return normal_numbers(shape, seed).to(at::kFloat);
  };
  expect_as_by_hand({fp32({2, 16, 32}, 1), fp32({48, 32}, 2), fp32({48}, 3), fp32({2, 16, 48}, 4)});
  expect_as_by_hand({fp32({3, 5, 7}, 1), fp32({11, 7}, 2), fp32({11}, 3), fp32({3, 5, 11}, 4)});
  // Parts of larger tensors, and a gradient that is one number everywhere.
  expect_as_by_hand({fp32({2, 32, 16}, 1).transpose(1, 2), fp32({32, 48}, 2).t(),
                     fp32({96}, 3).slice(0, 0, 96, 2), at::ones({1}).expand({2, 16, 48})});
}

TEST(Float8Linear, TakesNoSamples) {
  const at::Tensor x = at::empty({0, 4, 16}).requires_grad_(),
                   w = at::ones({8, 16}).requires_grad_();
  const at::Tensor y = float8_linear(x, w, {});
  EXPECT_EQ(y.sizes(), (std::vector<std::int64_t>{0, 4, 8}));
  const auto grads = torch::autograd::grad({y}, {x, w}, {at::empty_like(y)});
  EXPECT_EQ(grads[0].sizes(), x.sizes());
  EXPECT_EQ(grads[1].abs().max().item<double>(), 0);
}

TEST(Float8Linear, IsAsNearAsFourDigitsAre) {
  const at::Tensor x = normal_numbers({1, 8, 32}, 1), w = normal_numbers({16, 32}, 2);
  const at::Tensor error = (float8_linear(x, w, {}) - at::linear(x, w)).abs().max();
  EXPECT_GT(error.item<double>(), 1e-2);
  EXPECT_LT(error.item<double>(), 2);
}

class ParallelFloat8 : public ::testing::TestWithParam<int> {};

// Tokens and features are spread over the ranks; every element is rounded as on one.
TEST_P(ParallelFloat8, EqualsOneRank) {
  comm::run_rank_threads(GetParam(), [](comm::World& world) {
    const int ranks = world.size();
    const std::int64_t length = 7, hidden = 8, inner = 12;
    std::vector<std::int64_t> sizes;
    for (int i = 0; i < ranks; ++i) sizes.push_back(chunk(length, ranks, i).size());
    const Range tokens = chunk(length, ranks, world.rank()),
                features = chunk(inner, ranks, world.rank());
    const auto leaf = [](const at::Tensor& x) {
      return x.detach().contiguous().requires_grad_(true);
    };
    const auto ours = [&](const at::Tensor& x) { return x.narrow(1, tokens.begin, tokens.size()); };
    const at::Tensor x = leaf(of_like_size({2, length, hidden}, 1)),
                     up = leaf(of_like_size({inner, hidden}, 2)),
                     down = leaf(of_like_size({hidden, inner}, 3));
    const at::Tensor grad = of_like_size({2, length, hidden}, 5);
    // Nothing inside is near zero, where its rounding would depend on the largest of a rank.
    const auto far_from_zero = [](const at::Tensor& h) { return h + h.sign().detach() * 4; };
    const at::Tensor expected = float8_linear(far_from_zero(float8_linear(x, up, {})), down, {});
    const auto expected_grads = torch::autograd::grad({expected}, {x, up, down}, {grad});

    const at::Tensor x_part = leaf(ours(x)),
                     up_part = leaf(up.narrow(0, features.begin, features.size())),
                     down_part = leaf(down.narrow(1, features.begin, features.size()));
    constexpr auto kPrecision = LinearPrecision::kFloat8;
    const at::Tensor inside =
        column_parallel_linear(x_part, up_part, {}, world.all(), sizes, kPrecision);
    const at::Tensor y =
        row_parallel_linear(far_from_zero(inside), down_part, {}, world.all(), sizes, kPrecision);
    const auto grads = torch::autograd::grad({y}, {x_part, up_part, down_part}, {ours(grad)});
    expect_near_all(y.detach(), ours(expected.detach()), 1e-9);
    expect_near_all(grads[0], ours(expected_grads[0]), 1e-9);
    expect_near_all(grads[1], expected_grads[1].narrow(0, features.begin, features.size()), 1e-9);
    expect_near_all(grads[2], expected_grads[2].narrow(1, features.begin, features.size()), 1e-9);
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, ParallelFloat8, ::testing::Values(1, 2, 3));

}  // namespace
}  // namespace galvatron::nn
