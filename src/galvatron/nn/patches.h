// Images as rows of patches, and Swin's merging of two by two of them.
#pragma once
#include <cstdint>

#include <ATen/core/Tensor.h>

#include "galvatron/base/partition.h"

namespace galvatron::nn {

// Patches of an image, numbered row by row.
struct PatchGrid {
  std::int64_t rows = 0, columns = 0;
  std::int64_t height = 0, width = 0;  // of a patch, in pixels
};

// Rows of pixels that patches `tokens` lie in, some of which an image may not have.
Range pixel_rows(const PatchGrid& grid, Range tokens);

// Patches `tokens` as vectors [B, tokens, C * height * width], in the order of a convolution's
// weight, of images from the first of pixel_rows() on. Pixels beyond the grid are left out, missing
// ones are zero.
at::Tensor image_patches(const at::Tensor& images_BCHW, const PatchGrid& grid, Range tokens);

// x [B, L, C] of a grid of rows x columns -> [B, tokens, 4C]: tokens `tokens` of the grid of half
// as many rows and columns (rounded up), each beside its right, lower and diagonal neighbour.
// Neighbours beyond the grid are zero.
at::Tensor merge_patches(const at::Tensor& x_BLC, std::int64_t rows, std::int64_t columns,
                         Range tokens);

}  // namespace galvatron::nn
