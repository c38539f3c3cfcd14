#include "galvatron/nn/patches.h"

#include <algorithm>

#include "galvatron/comm/torch_headers.h"

namespace galvatron::nn {
namespace {

// Rows of a grid that hold the tokens: nothing else of an image is looked at.
Range rows_of(Range tokens, std::int64_t columns) {
  return {tokens.begin / columns, (tokens.end + columns - 1) / columns};
}

// x.narrow(dim, range), with zeros where the range goes beyond.
at::Tensor narrow_or_pad(const at::Tensor& x, std::int64_t dim, Range range) {
  const Range there = intersect(range, {0, x.size(dim)});
  const at::Tensor part = x.narrow(dim, there.begin, there.size());
  if (there.size() == range.size()) return part;
  std::vector<std::int64_t> padding(static_cast<std::size_t>(2 * (x.dim() - dim)), 0);
  padding.back() = range.size() - there.size();  // pairs count from the last dimension
  return at::constant_pad_nd(part, padding);
}

}  // namespace

Range pixel_rows(const PatchGrid& grid, Range tokens) {
  if (tokens.empty()) return {};
  const Range rows = rows_of(tokens, grid.columns);
  return {rows.begin * grid.height, rows.end * grid.height};
}

at::Tensor image_patches(const at::Tensor& images_BCHW, const PatchGrid& grid, Range tokens) {
  const std::int64_t batch = images_BCHW.size(0), channels = images_BCHW.size(1);
  const std::int64_t features = channels * grid.height * grid.width;
  if (tokens.empty()) return images_BCHW.new_empty({batch, 0, features});
  const Range rows = rows_of(tokens, grid.columns);
  const at::Tensor strip =
      narrow_or_pad(narrow_or_pad(images_BCHW, 2, {0, rows.size() * grid.height}), 3,
                    {0, grid.columns * grid.width});
  return strip.reshape({batch, channels, rows.size(), grid.height, grid.columns, grid.width})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({batch, rows.size() * grid.columns, features})
      .narrow(1, tokens.begin - rows.begin * grid.columns, tokens.size());
}

at::Tensor merge_patches(const at::Tensor& x_BLC, std::int64_t rows, std::int64_t columns,
                         Range tokens) {
  const std::int64_t batch = x_BLC.size(0), width = x_BLC.size(2), halved = (columns + 1) / 2;
  const Range strip_rows = rows_of(tokens, halved);
  const at::Tensor strip = narrow_or_pad(narrow_or_pad(x_BLC.view({batch, rows, columns, width}), 1,
                                                       {2 * strip_rows.begin, 2 * strip_rows.end}),
                                         2, {0, 2 * halved});
  // [B, row, lower, column, right, C]; Hugging Face's order goes through the rows first.
  return strip.view({batch, strip_rows.size(), 2, halved, 2, width})
      .permute({0, 1, 3, 4, 2, 5})
      .reshape({batch, strip_rows.size() * halved, 4 * width})
      .narrow(1, tokens.begin - strip_rows.begin * halved, tokens.size());
}

}  // namespace galvatron::nn
