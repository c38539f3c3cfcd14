#include "galvatron/nn/window_attention.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/layer.h"

namespace galvatron::nn {
namespace {

// As transformers: small enough that a softmax gives nothing, and finite.
constexpr double kUnseen = -100;

at::Tensor append(const at::Tensor& x, std::int64_t dim, std::int64_t length,
                  const at::Tensor& padding) {
  const std::int64_t missing = length - x.size(dim);
  if (missing == 0) return x;
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape[static_cast<std::size_t>(dim)] = missing;
  const at::Tensor filling =
      padding.defined() ? padding.unsqueeze(0).expand(shape) : x.new_zeros(shape);
  return at::cat({x, filling}, dim);
}

// [B, rows, columns, ...] of whole windows -> [B, windows, size^2, ...], and the way back.
at::Tensor cut(const at::Tensor& x, const WindowOptions& o) {
  return x.unflatten(2, {o.window_columns(), o.size})
      .unflatten(1, {o.window_rows(), o.size})
      .transpose(2, 3)
      .flatten(3, 4)
      .flatten(1, 2);
}

at::Tensor join(const at::Tensor& x, const WindowOptions& o) {
  return x.unflatten(2, {o.size, o.size})
      .unflatten(1, {o.window_rows(), o.window_columns()})
      .transpose(2, 3)
      .flatten(3, 4)
      .flatten(1, 2);
}

// Which of three parts a line of the shifted grid belongs to: before the last window, in it, or
// wrapped around from the other side.
at::Tensor regions(std::int64_t length, const WindowOptions& o, const at::TensorOptions& options) {
  const at::Tensor line = at::arange(length, options);
  return line.ge(length - o.size).to(at::kLong) + line.ge(length - o.shift).to(at::kLong);
}

// [windows, size^2, size^2]: kUnseen between tokens of different regions, else 0.
at::Tensor shift_mask(const at::Tensor& like, const WindowOptions& o) {
  const auto integers = at::TensorOptions().dtype(at::kLong).device(like.device());
  const at::Tensor region_of_row = regions(o.window_rows() * o.size, o, integers);
  const at::Tensor region_of_column = regions(o.window_columns() * o.size, o, integers);
  const at::Tensor region = region_of_row.unsqueeze(1) * 3 + region_of_column.unsqueeze(0);
  const at::Tensor windows = cut(region.unsqueeze(0), o).squeeze(0);
  const at::Tensor apart = windows.unsqueeze(1).ne(windows.unsqueeze(2));
  return apart.to(like.scalar_type()).mul_(kUnseen);
}

// Row of the table for each pair of tokens of a window: [size^2, size^2].
at::Tensor offset_index(std::int64_t size, c10::Device device) {
  const auto integers = at::TensorOptions().dtype(at::kLong).device(device);
  const at::Tensor token = at::arange(size * size, integers);
  const at::Tensor row = token.div(size, "floor"), column = token.remainder(size);
  const auto offset = [&](const at::Tensor& place) {
    return place.unsqueeze(1) - place.unsqueeze(0) + (size - 1);
  };
  return offset(row) * (2 * size - 1) + offset(column);
}

}  // namespace

at::Tensor to_windows(const at::Tensor& x_BLND, const at::Tensor& padding, const WindowOptions& o) {
  at::Tensor grid = x_BLND.unflatten(1, {o.rows, o.columns});
  grid = append(grid, 2, o.window_columns() * o.size, padding);
  grid = append(grid, 1, o.window_rows() * o.size, padding);
  if (o.shift > 0) grid = grid.roll({-o.shift, -o.shift}, {1, 2});
  return cut(grid, o).flatten(0, 1);
}

at::Tensor from_windows(const at::Tensor& x_WTND, std::int64_t batch, const WindowOptions& o) {
  at::Tensor grid = join(x_WTND.unflatten(0, {batch, o.windows()}), o);
  if (o.shift > 0) grid = grid.roll({o.shift, o.shift}, {1, 2});
  return grid.narrow(1, 0, o.rows).narrow(2, 0, o.columns).flatten(1, 2);
}

at::Tensor window_bias(const at::Tensor& table, std::int64_t batch, const WindowOptions& o,
                       const LayerCall& call) {
  const auto size = static_cast<double>(o.size), shift = static_cast<double>(o.shift);
  const at::Tensor offsets =
      nn::table(call, {TableKind::kWindowOffsets, {size}}, 0,
                [&](std::int64_t) { return offset_index(o.size, table.device()); });
  const at::Tensor bias = at::embedding(table, offsets).permute({2, 0, 1}).unsqueeze(0);
  if (o.shift == 0) return bias;
  const std::vector<double> numbers = {static_cast<double>(o.rows), static_cast<double>(o.columns),
                                       size, shift, static_cast<double>(table.scalar_type())};
  const at::Tensor mask = nn::table(call, {TableKind::kWindowMask, numbers}, 0,
                                    [&](std::int64_t) { return shift_mask(table, o); });
  const at::Tensor masked = bias + mask.unsqueeze(1);
  return masked.unsqueeze(0).expand({batch, -1, -1, -1, -1}).flatten(0, 1);
}

}  // namespace galvatron::nn
