#include "galvatron/nn/window_attention.h"

#include <gtest/gtest.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/drop_path.h"

namespace galvatron::nn {
namespace {

// Token number of each place of each window: [windows, size^2]; -1 for padding.
at::Tensor places(const WindowOptions& options) {
  const std::int64_t tokens = options.rows * options.columns;
  const at::Tensor x = at::arange(tokens, at::kDouble).view({1, tokens, 1, 1});
  const at::Tensor padding = at::full({1, 1, 1, 1}, -1, at::kDouble);
  return to_windows(x, padding, options).squeeze(-1).squeeze(-1).to(at::kLong);
}

TEST(Windows, CutTheGridRowByRow) {
  EXPECT_TRUE(at::equal(places({2, 4, 2, 0}),
                        at::tensor({0, 1, 4, 5, 2, 3, 6, 7}, at::kLong).view({2, 4})));
}

TEST(Windows, AShiftMovesThemAndWrapsAround) {
  // Grid 0 .. 15 in rows of 4, shifted by one: the last window holds the four corners.
  const at::Tensor found = places({4, 4, 2, 1});
  EXPECT_TRUE(at::equal(found[0], at::tensor({5, 6, 9, 10}, at::kLong)));
  EXPECT_TRUE(at::equal(found[3], at::tensor({15, 12, 3, 0}, at::kLong)));
}

TEST(Windows, PaddingFillsTheLastOnes) {
  const at::Tensor found = places({3, 3, 2, 0});
  EXPECT_TRUE(at::equal(found[1], at::tensor({2, -1, 5, -1}, at::kLong)));
  EXPECT_TRUE(at::equal(found[3], at::tensor({8, -1, -1, -1}, at::kLong)));
}

TEST(Windows, TheWayBackIsExact) {
  for (const WindowOptions& options :
       {WindowOptions{4, 6, 2, 1}, {5, 7, 3, 1}, {3, 3, 3, 0}, {7, 4, 4, 2}}) {
    const at::Tensor x = at::rand({2, options.rows * options.columns, 3, 5});
    const at::Tensor windows = to_windows(x, {}, options);
    EXPECT_EQ(windows.sizes(), (std::vector<std::int64_t>{2 * options.windows(),
                                                          options.size * options.size, 3, 5}));
    EXPECT_TRUE(at::equal(from_windows(windows, 2, options), x));
  }
  const WindowOptions options{5, 7, 3, 1};
  const at::Tensor none = at::rand({0, 35, 3, 5});
  EXPECT_TRUE(at::equal(from_windows(to_windows(none, {}, options), 0, options), none));
}

// Who sees whom, and with which entry of the table, from the tokens' places in the grid.
TEST(WindowBias, IsByOffsetAndOnlyBetweenNeighbours) {
  const WindowOptions options{4, 6, 3, 1};  // padded to 6 x 6
  const std::int64_t size = options.size, across = 2 * size - 1, lines = 6;
  const at::Tensor table = at::rand({across * across, 2}, at::kDouble);
  const at::Tensor bias = window_bias(table, 1, options, {});
  ASSERT_EQ(bias.sizes(), (std::vector<std::int64_t>{4, 2, 9, 9}));
  // Line of the grid, by line of the shifted one; the first `shift` lines come last.
  const auto wrapped = [&](std::int64_t line) { return line >= lines - options.shift; };
  for (std::int64_t w = 0; w < 4; ++w) {
    for (std::int64_t q = 0; q < 9; ++q) {
      for (std::int64_t k = 0; k < 9; ++k) {
        const std::int64_t row_q = w / 2 * size + q / size, row_k = w / 2 * size + k / size;
        const std::int64_t column_q = w % 2 * size + q % size, column_k = w % 2 * size + k % size;
        const bool together =
            wrapped(row_q) == wrapped(row_k) && wrapped(column_q) == wrapped(column_k);
        const std::int64_t entry =
            (row_q - row_k + size - 1) * across + column_q - column_k + size - 1;
        EXPECT_DOUBLE_EQ(bias[w][1][q][k].item<double>(),
                         table[entry][1].item<double>() + (together ? 0 : -100));
      }
    }
  }
  EXPECT_TRUE(at::equal(window_bias(table, 3, options, {}).narrow(0, 8, 4), bias))
      << "of every sample";
  EXPECT_EQ(window_bias(table, 3, {6, 6, 3, 0}, {}).size(0), 1) << "one for all without a shift";
}

TEST(DropPath, WholeSamplesSkipOrAreScaled) {
  const at::Tensor x = at::ones({400, 3, 2}, at::kDouble);
  LayerCall call;
  call.num_samples = 400;
  const Dropout options{0.25, 7};
  const at::Tensor kept = drop_path(x, options, call);
  const at::Tensor first = kept.select(1, 0).select(1, 0);
  EXPECT_TRUE(at::equal(kept, first.view({-1, 1, 1}).expand_as(kept)));
  EXPECT_TRUE(
      at::equal(first.eq(0).logical_or(first.eq(1 / 0.75)), at::ones_like(first, at::kBool)));
  EXPECT_NEAR(first.mean().item<double>(), 1, 0.1);
  // Ranks that hold other samples, or other tokens of these, decide alike.
  call.first_sample = 100;
  EXPECT_TRUE(at::equal(drop_path(x.narrow(0, 0, 50).narrow(1, 1, 1), options, call),
                        kept.narrow(0, 100, 50).narrow(1, 1, 1)));
  call.training = false;
  EXPECT_TRUE(at::equal(drop_path(x, options, call), x));
}

}  // namespace
}  // namespace galvatron::nn
