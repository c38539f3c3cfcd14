// Sliding windows and capped scores against attention that is written out, in fp64.
#include "galvatron/nn/attention_core.h"

#include <limits>

#include <gtest/gtest.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/counter_random.h"

namespace galvatron::nn {
namespace {

at::Tensor random_heads(std::int64_t heads, std::int64_t length, std::uint64_t seed) {
  at::Tensor out = at::empty({2, length, heads, 4}, at::kDouble);
  fill_normal(out.data_ptr<double>(), out.numel(), seed, 0, 1);
  return out.transpose(1, 2).detach().requires_grad_(true);  // as a projection leaves them
}

struct Qkv {
  at::Tensor q, k, v, grad;
  explicit Qkv(std::int64_t length)
      : q(random_heads(4, length, 1)),
        k(random_heads(2, length, 2)),
        v(random_heads(2, length, 3)),
        grad(random_heads(4, length, 4).detach()) {}

  std::vector<at::Tensor> with_gradients(const at::Tensor& out) const {
    std::vector<at::Tensor> all = torch::autograd::grad({out}, {q, k, v}, {grad});
    all.push_back(out.detach());
    return all;
  }
};

at::Tensor written_out(const Qkv& x, const AttentionCore& core) {
  const std::int64_t length = x.q.size(2);
  at::Tensor scores = at::matmul(x.q, x.k.repeat_interleave(2, 1).transpose(2, 3)) * core.scale;
  if (core.softcap > 0) scores = (scores / core.softcap).tanh() * core.softcap;
  at::Tensor hidden = at::zeros({length, length}, at::kBool);
  for (std::int64_t i = 0; i < length; ++i) {
    for (std::int64_t j = 0; j < length; ++j) {
      const bool seen = j <= i && (core.sliding_window == 0 || j > i - core.sliding_window);
      hidden[i][j] = !seen;
    }
  }
  scores = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity());
  return at::matmul(scores.softmax(-1), x.v.repeat_interleave(2, 1));
}

void expect_equal(const Qkv& x, const AttentionCore& core) {
  LayerCall call;
  call.num_samples = 2;
  const std::vector<at::Tensor> ours = x.with_gradients(attend(x.q, x.k, x.v, {}, core, call)),
                                expected = x.with_gradients(written_out(x, core));
  for (std::size_t i = 0; i < ours.size(); ++i)
    EXPECT_LE((ours[i] - expected[i]).abs().max().item<double>(), 1e-12) << i;
}

TEST(SlidingWindow, ShowsTheLastTokensOfEveryQuery) {
  for (const std::int64_t length : {1, 2, 7, 12, 13}) {
    const Qkv x(length);
    for (std::int64_t window = 0; window <= length + 1; ++window) {
      SCOPED_TRACE(testing::Message() << length << " tokens in windows of " << window);
      expect_equal(x, {.scale = 0.7, .causal = true, .sliding_window = window, .num_heads = 4});
    }
  }
}

TEST(SlidingWindow, HoldsWhereScoresAreCapped) {
  const Qkv x(13);
  for (const std::int64_t window : {0, 1, 5, 20}) {
    expect_equal(
        x, {.scale = 2, .causal = true, .sliding_window = window, .softcap = 1.5, .num_heads = 4});
  }
}

TEST(SlidingWindow, HoldsBesideDropout) {
  const std::int64_t length = 9, window = 3;
  const Qkv x(length);
  LayerCall call;
  call.num_samples = 2;
  call.sequence.length = length;
  const AttentionCore core{.causal = true,
                           .sliding_window = window,
                           .dropout = {0.5, 17},
                           .num_heads = 4,
                           .heads = {0, 4}};
  // What lies before the window of the last query changes nothing there.
  const at::Tensor out = attend(x.q, x.k, x.v, {}, core, call);
  at::Tensor far = x.v.detach().clone();
  far.narrow(2, 0, length - window).fill_(1e9);
  const at::Tensor same = attend(x.q, x.k, far, {}, core, call);
  EXPECT_TRUE(at::equal(out.select(2, length - 1), same.select(2, length - 1)));
  EXPECT_FALSE(at::equal(out.select(2, 2), same.select(2, 2)));
}

}  // namespace
}  // namespace galvatron::nn
