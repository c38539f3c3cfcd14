#include "galvatron/nn/patches.h"

#include <gtest/gtest.h>

#include "galvatron/comm/torch_headers.h"

namespace galvatron::nn {
namespace {

at::Tensor numbers(std::vector<std::int64_t> shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return at::arange(count, at::kDouble).sin().view(shape);
}

// Of an image of which there is nothing in front of the rows that the patches lie in.
at::Tensor patches_of(const at::Tensor& images, const PatchGrid& grid, Range tokens) {
  const Range rows = intersect(pixel_rows(grid, tokens), {0, images.size(2)});
  return image_patches(images.narrow(2, rows.begin, rows.size()), grid, tokens);
}

TEST(ImagePatches, AreWhatAConvolutionSees) {
  const at::Tensor images = numbers({2, 3, 8, 9}), weight = numbers({5, 3, 2, 3});
  const at::Tensor convolved = at::conv2d(images, weight, {}, {2, 3}).flatten(2).transpose(1, 2);
  const at::Tensor patches = image_patches(images, {4, 3, 2, 3}, {0, 12});
  EXPECT_TRUE(at::allclose(at::linear(patches, weight.flatten(1)), convolved, 1e-12, 1e-12));
  for (const Range tokens : {Range{0, 1}, Range{2, 7}, Range{6, 12}, Range{5, 5}}) {
    EXPECT_TRUE(at::equal(patches_of(images, {4, 3, 2, 3}, tokens),
                          patches.narrow(1, tokens.begin, tokens.size())));
  }
}

TEST(ImagePatches, TheRestIsLeftOutOrPadded) {
  const at::Tensor images = numbers({1, 1, 5, 7});
  const at::Tensor whole =
      image_patches(images.narrow(2, 0, 4).narrow(3, 0, 6), {2, 3, 2, 2}, {0, 6});
  EXPECT_TRUE(at::equal(image_patches(images, {2, 3, 2, 2}, {0, 6}), whole));
  const at::Tensor padded = at::constant_pad_nd(images, {0, 1, 0, 1});
  EXPECT_TRUE(at::equal(patches_of(images, {3, 4, 2, 2}, {3, 12}),
                        patches_of(padded, {3, 4, 2, 2}, {3, 12})));
}

TEST(ImagePatches, NoSamplesAreNoPatches) {
  EXPECT_EQ(image_patches(numbers({0, 3, 4, 4}), {2, 2, 2, 2}, {1, 3}).sizes(),
            (std::vector<std::int64_t>{0, 2, 12}));
}

// transformers' SwinPatchMerging, written out.
at::Tensor merged(const at::Tensor& x, std::int64_t rows, std::int64_t columns) {
  at::Tensor grid = x.view({x.size(0), rows, columns, x.size(2)});
  grid = at::constant_pad_nd(grid, {0, 0, 0, columns % 2, 0, rows % 2});
  std::vector<at::Tensor> parts;
  for (const std::int64_t column : {0, 1}) {
    for (const std::int64_t row : {0, 1}) {
      parts.push_back(grid.slice(1, row, std::nullopt, 2).slice(2, column, std::nullopt, 2));
    }
  }
  return at::cat(parts, -1).flatten(1, 2);
}

TEST(MergePatches, OddGridsAreFilledWithZeros) {
  for (const auto& [rows, columns] : {std::pair{4, 6}, std::pair{5, 3}, std::pair{1, 4}}) {
    const at::Tensor x = numbers({2, rows * columns, 3}), whole = merged(x, rows, columns);
    const std::int64_t length = whole.size(1);
    EXPECT_TRUE(at::equal(merge_patches(x, rows, columns, {0, length}), whole));
    for (std::int64_t begin = 0; begin < length; ++begin) {
      EXPECT_TRUE(at::equal(merge_patches(x, rows, columns, {begin, length}),
                            whole.narrow(1, begin, length - begin)));
    }
  }
}

}  // namespace
}  // namespace galvatron::nn
