// Sliding windows, capped scores and documents against attention that is written out, in fp64.
#include "galvatron/nn/attention_core.h"

#include <limits>

#include <gtest/gtest.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/blocked_attention.h"
#include "galvatron/nn/counter_random.h"

#include "config_error.h"

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
      : Qkv(random_heads(4, length, 1), random_heads(2, length, 2), random_heads(2, length, 3),
            random_heads(4, length, 4).detach()) {}
  Qkv(at::Tensor queries, at::Tensor keys, at::Tensor values, at::Tensor gradient)
      : q(queries), k(keys), v(values), grad(gradient) {}

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

// With a bias, and dropout of the samples from `first_sample` on.
at::Tensor written_out_with(const Qkv& x, const AttentionCore& core, const at::Tensor& bias,
                            std::int64_t first_sample) {
  const std::int64_t length = x.q.size(2);
  at::Tensor scores = at::matmul(x.q, x.k.repeat_interleave(2, 1).transpose(2, 3)) * core.scale;
  if (core.softcap > 0) scores = (scores / core.softcap).tanh() * core.softcap;
  scores = scores + bias;
  const at::Tensor ones = at::ones({length, length}, at::kBool);
  at::Tensor hidden = at::zeros_like(ones);
  if (core.causal) hidden = hidden.logical_or(ones.triu(1));
  if (core.sliding_window > 0) hidden = hidden.logical_or(ones.tril(-core.sliding_window));
  at::Tensor kept =
      scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()).softmax(-1);
  if (core.dropout.p > 0) {
    const auto places = [](std::int64_t first, std::int64_t count, at::IntArrayRef shape) {
      return at::arange(first, first + count).view(shape);
    };
    const at::Tensor row = places(first_sample, x.q.size(0), {-1, 1, 1, 1}),
                     head = places(core.heads.begin, core.heads.size(), {-1, 1, 1}),
                     query = places(0, length, {-1, 1}), key = places(0, length, {-1});
    const at::Tensor index = ((row * core.num_heads + head) * length + query) * length + key;
    kept = kept * keep_mask(index, core.dropout.key, core.dropout.p) / (1 - core.dropout.p);
  }
  return at::matmul(kept, x.v.repeat_interleave(2, 1));
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

// --- blocks ---

// Over everything that keeps attention out of a fused kernel, in one block and in several: in fp64,
// as other devices compute, and in fp32 by rows, as a CPU does. There the backward has the rounding
// of a row's log-sum beside those of torch's operators.
class BlockedAttention : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(BlockedAttention, EqualsWhatIsWrittenOut) {
  const at::ScalarType type = GetParam();
  const auto of_type = [&](const at::Tensor& x) {
    return x.detach().to(at::kFloat).to(type).requires_grad_(true);
  };
  for (const std::int64_t length : {1, 13, 520}) {
    const Qkv numbers(length);
    const Qkv x{of_type(numbers.q), of_type(numbers.k), of_type(numbers.v),
                of_type(numbers.grad).detach()},
        wide{of_type(numbers.q).detach().to(at::kDouble).requires_grad_(true),
             of_type(numbers.k).detach().to(at::kDouble).requires_grad_(true),
             of_type(numbers.v).detach().to(at::kDouble).requires_grad_(true),
             x.grad.to(at::kDouble)};
    at::Tensor of_scores = at::empty({1, 4, length, length}, at::kDouble);
    fill_normal(of_scores.data_ptr<double>(), of_scores.numel(), 9, 0, 1);
    const at::Tensor bias = of_type(of_scores.transpose(2, 3)),  // as tables leave them
        wide_bias = bias.detach().to(at::kDouble).requires_grad_(true);
    const std::vector<AttentionCore> cores = {
        {.scale = 0.7},
        {.scale = 0.7, .causal = true},
        {.scale = 0.7, .causal = true, .sliding_window = 100},
        {.scale = 0.7, .causal = true, .softcap = 1.5},
        {.scale = 9, .causal = true, .softcap = 50},
        {.scale = 0.7, .dropout = {0.3, 17}},
        {.scale = 0.7, .causal = true, .sliding_window = 7, .softcap = 1.5, .dropout = {0.3, 17}}};
    for (AttentionCore core : cores) {
      core.num_heads = 6, core.heads = {1, 5};
      LayerCall call;
      call.first_sample = 3, call.num_samples = 2;
      for (const bool biased : {false, true}) {
        SCOPED_TRACE(testing::Message()
                     << length << " tokens, causal " << core.causal << ", cap " << core.softcap
                     << ", p " << core.dropout.p << ", biased " << biased);
        std::vector<at::Tensor> in = {x.q, x.k, x.v}, wide_in = {wide.q, wide.k, wide.v};
        if (biased) in.push_back(bias), wide_in.push_back(wide_bias);
        const auto with_gradients = [&](const at::Tensor& out, const std::vector<at::Tensor>& of) {
          auto all = torch::autograd::grad({out}, of, {x.grad.to(out.scalar_type())});
          all.push_back(out.detach());
          return all;
        };
        const at::Tensor none = at::zeros({}, type);
        const auto ours = with_gradients(
            blocked_attention(x.q, x.k, x.v, biased ? bias : at::Tensor(), {}, core, call), in);
        const auto plain =
            with_gradients(written_out_with(x, core, biased ? bias : none, call.first_sample), in);
        const auto exact =
            with_gradients(written_out_with(wide, core, biased ? wide_bias : none.to(at::kDouble),
                                            call.first_sample),
                           wide_in);
        for (std::size_t i = 0; i < ours.size(); ++i) {
          const auto error = [&](const std::vector<at::Tensor>& of) {
            return (of[i] - exact[i]).abs().max().item<double>();
          };
          EXPECT_LE(error(ours), type == at::kDouble ? 1e-11 : 4 * error(plain) + 2e-6) << i;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, BlockedAttention, testing::Values(at::kDouble, at::kFloat),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

TEST(AttentionInBlocks, WithoutANumberSaysSo) {
  Qkv x(13);
  for (at::Tensor* t : {&x.q, &x.k, &x.v}) *t = t->detach().to(at::kFloat);
  x.q[1][2][7][0] = std::numeric_limits<double>::quiet_NaN();
  LayerCall call;
  call.num_samples = 2;
  const AttentionCore core{.causal = true, .softcap = 5, .num_heads = 4, .heads = {0, 4}};
  const at::Tensor wrong =
      blocked_attention(x.q, x.k, x.v, {}, {}, core, call).isnan().all(3).nonzero();
  EXPECT_TRUE(at::equal(wrong, at::tensor({1, 2, 7}).view({1, 3})));
}

// No farther from exact attention of the same numbers than attention written out in bf16.
TEST(AttentionInBlocks, InHalfPrecisionIsAsGoodAsItsNumbers) {
  const Qkv x(520);
  const AttentionCore core{
      .scale = 0.7, .causal = true, .dropout = {0.3, 17}, .num_heads = 4, .heads = {0, 4}};
  LayerCall call;
  call.num_samples = 2;
  const auto rounded = [](const at::Tensor& t, at::ScalarType type) {
    return t.detach().to(at::kBFloat16).to(type).requires_grad_(true);
  };
  const auto numbers = [&](at::ScalarType type) {
    return Qkv{rounded(x.q, type), rounded(x.k, type), rounded(x.v, type),
               rounded(x.grad, type).detach()};
  };
  const Qkv narrow = numbers(at::kBFloat16), wide = numbers(at::kDouble);
  const auto blocked = [&](const Qkv& of) {
    return of.with_gradients(blocked_attention(of.q, of.k, of.v, {}, {}, core, call));
  };
  const auto exact = blocked(wide), ours = blocked(narrow),
             plain = narrow.with_gradients(
                 written_out_with(narrow, core, at::zeros({}, at::kBFloat16), 0));
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const auto error = [&](const std::vector<at::Tensor>& of) {
      return ((of[i].to(at::kDouble) - exact[i]).norm() / exact[i].norm()).item<double>();
    };
    EXPECT_LE(error(ours), error(plain)) << i;
  }
}

// --- documents ---

// True where a query and a key are of one document, or the query of none.
at::Tensor seen(const std::vector<std::int64_t>& queries, const std::vector<std::int64_t>& keys) {
  const at::Tensor q = at::tensor(queries, at::kLong).unsqueeze(1),
                   k = at::tensor(keys, at::kLong).unsqueeze(0);
  return q.eq(k).logical_or(q.eq(0));
}

const std::vector<std::vector<std::int64_t>> kIds = {{0, 0, 1, 1, 1, 4, 4, 2, 2, 2, 2, 0, 0},
                                                     {7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7}};

DocumentPair one_pair(const std::vector<std::vector<std::int64_t>>& ids) {
  at::Tensor rows = at::empty(
      {static_cast<std::int64_t>(ids.size()), static_cast<std::int64_t>(ids[0].size())}, at::kLong);
  for (std::size_t i = 0; i < ids.size(); ++i)
    rows[static_cast<std::int64_t>(i)].copy_(at::tensor(ids[i], at::kLong));
  const auto documents = std::make_shared<const Documents>(documents_from_ids(rows));
  return {documents, documents};
}

// Beside everything that attention may have: what a token sees is what a mask would show it. Rows
// of padding have no meaning.
TEST(Documents, TokensSeeTheirOwnAlone) {
  const std::int64_t length = 13;
  const Qkv x(length);
  at::Tensor bias = at::empty({1, 4, length, length}, at::kDouble);
  fill_normal(bias.data_ptr<double>(), bias.numel(), 9, 0, 1);
  LayerCall call;
  call.num_samples = 2;
  for (const bool causal : {false, true}) {
    for (const double softcap : {0.0, 1.5}) {
      for (const bool biased : {false, true}) {
        SCOPED_TRACE(testing::Message() << causal << softcap << biased);
        const AttentionCore core{
            .scale = 0.7, .causal = causal, .softcap = softcap, .num_heads = 4, .heads = {0, 4}};
        at::Tensor scores =
            at::matmul(x.q, x.k.repeat_interleave(2, 1).transpose(2, 3)) * core.scale;
        if (softcap > 0) scores = (scores / softcap).tanh() * softcap;
        if (biased) scores = scores + bias;
        at::Tensor visible = at::stack({seen(kIds[0], kIds[0]), seen(kIds[1], kIds[1])}, 0);
        if (causal) visible = visible.tril();
        scores = scores.masked_fill(visible.logical_not().unsqueeze(1),
                                    -std::numeric_limits<double>::infinity());
        const at::Tensor text =
            at::tensor(kIds[0], at::kLong).ne(0).to(at::kDouble).view({1, 1, length, 1});
        const at::Tensor rows = at::cat({text, at::ones_like(text)}, 0);
        const at::Tensor expected =
            at::matmul(scores.softmax(-1), x.v.repeat_interleave(2, 1)) * rows;
        const at::Tensor ours =
            attend(x.q, x.k, x.v, biased ? bias : at::Tensor(), core, call, one_pair(kIds)) * rows;
        const auto a = x.with_gradients(ours), b = x.with_gradients(expected);
        for (std::size_t i = 0; i < a.size(); ++i)
          EXPECT_LE((a[i] - b[i]).abs().max().item<double>(), 1e-12) << i;
      }
    }
  }
}

// Dropout masks are addressed by places in the whole sequence, so there all is written out.
TEST(Documents, HoldBesideDropout) {
  const std::int64_t length = 13;
  const Qkv x(length);
  LayerCall call;
  call.num_samples = 2;
  call.sequence.length = length;
  const AttentionCore core{.causal = true, .dropout = {0.5, 17}, .num_heads = 4, .heads = {0, 4}};
  const at::Tensor out = attend(x.q, x.k, x.v, {}, core, call, one_pair(kIds));
  EXPECT_FALSE(out.isnan().any().item<bool>());
  // Other documents and padding change nothing in tokens 7 to 10 of the first sample.
  at::Tensor k = x.k.detach().clone(), v = x.v.detach().clone();
  for (const at::Tensor& other : {k, v}) {
    other[0].narrow(1, 0, 7).fill_(5);
    other[0].narrow(1, 11, 2).fill_(5);
  }
  const at::Tensor again = attend(x.q, k, v, {}, core, call, one_pair(kIds));
  EXPECT_TRUE(at::equal(out[0].narrow(1, 7, 4), again[0].narrow(1, 7, 4)));
  EXPECT_FALSE(at::equal(out[0].narrow(1, 0, 7), again[0].narrow(1, 0, 7)));
  for (const at::Tensor& gradient : x.with_gradients(out))
    EXPECT_FALSE(gradient.isnan().any().item<bool>());
}

TEST(Documents, OfPaddingAloneStayInTheGraph) {
  const Qkv x(3);
  const std::vector<std::vector<std::int64_t>> nothing = {{0, 0, 0}, {0, 0, 0}};
  const at::Tensor out =
      attend(x.q, x.k, x.v, {}, {.num_heads = 4, .heads = {0, 4}}, {}, one_pair(nothing));
  for (const at::Tensor& value : x.with_gradients(out))
    EXPECT_EQ(value.abs().max().item<double>(), 0);
}

TEST(Documents, HaveOnePlaceInASample) {
  const auto problem = [](const std::vector<std::int64_t>& ids) {
    return config_error_of([&] { documents_from_ids(at::tensor(ids, at::kLong).unsqueeze(0)); });
  };
  EXPECT_NE(problem({1, 1, 0, 1}).find("tokens 0 to 1 and 3 to 3 of sample 0 belong together"),
            std::string::npos);
  EXPECT_NE(problem({1, -1}).find("belongs to document -1"), std::string::npos);
}

}  // namespace
}  // namespace galvatron::nn
