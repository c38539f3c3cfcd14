// What windowed attention adds to attention: cutting a grid of tokens into windows, and the bias
// inside them (Liu et al. 2021, Swin Transformer).
#pragma once
#include <cstdint>

#include <ATen/core/Tensor.h>

namespace galvatron::nn {

struct LayerCall;

struct WindowOptions {
  std::int64_t rows = 0, columns = 0;  // of the grid
  std::int64_t size = 0;               // tokens along one side of a window; 0: no windows
  std::int64_t shift = 0;              // of the windows against the grid, in tokens

  bool active() const { return size > 0; }
  // Of the grid padded to whole windows.
  std::int64_t window_rows() const { return (rows + size - 1) / size; }
  std::int64_t window_columns() const { return (columns + size - 1) / size; }
  std::int64_t windows() const { return window_rows() * window_columns(); }
  bool is_padded() const { return rows % size != 0 || columns % size != 0; }
};

// x [B, L, N, D] of a whole grid -> [B * windows, size^2, N, D], a sample's windows together.
// Places beyond the grid hold `padding` [1, 1, N, D], or zeros where it is undefined.
at::Tensor to_windows(const at::Tensor& x_BLND, const at::Tensor& padding,
                      const WindowOptions& options);
// The way back; what lies beyond the grid is left out.
at::Tensor from_windows(const at::Tensor& x_WTND, std::int64_t batch, const WindowOptions& options);

// What is added to the scores: [1, N, size^2, size^2], or with a shift [B * windows, N, ...]. The
// table [(2 * size - 1)^2, N] has a number for each offset between two tokens; tokens that only
// the shift brought into one window do not see each other.
at::Tensor window_bias(const at::Tensor& table, std::int64_t batch, const WindowOptions& options,
                       const LayerCall& call);

}  // namespace galvatron::nn
