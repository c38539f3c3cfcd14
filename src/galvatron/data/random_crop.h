// Random parts of images, scaled to one size: Szegedy et al. 2015, section 6, as torchvision's
// RandomResizedCrop has it.
#pragma once
#include <cstdint>
#include <functional>

#include <ATen/core/Tensor.h>

namespace galvatron::data {

struct CropWindow {
  std::int64_t top = 0, left = 0, height = 0, width = 0;
};

// A part of `least_area` to all of the image's area, 3/4 to 4/3 as wide as high; the middle where
// ten tries find none. `draw` gives numbers in [0, 1).
CropWindow random_window(std::int64_t height, std::int64_t width, double least_area,
                         const std::function<double()>& draw);
// The largest part in the shape of height x width, from the middle.
CropWindow middle_window(std::int64_t height, std::int64_t width, std::int64_t shape_height,
                         std::int64_t shape_width);

// [C, height, width] of floats of the window of an image [C, H, W], smoothed where it shrinks.
at::Tensor scaled_part(const at::Tensor& image, const CropWindow& window, std::int64_t height,
                       std::int64_t width);

}  // namespace galvatron::data
