#include "galvatron/data/random_crop.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <ATen/ATen.h>

namespace galvatron::data {
namespace {

constexpr int kTries = 10;
constexpr double kNarrowest = 3.0 / 4, kWidest = 4.0 / 3;  // width over height

// One of 0 .. count - 1.
std::int64_t pick(std::int64_t count, double drawn) {
  return std::min(static_cast<std::int64_t>(drawn * static_cast<double>(count)), count - 1);
}

}  // namespace

CropWindow random_window(std::int64_t height, std::int64_t width, double least_area,
                         const std::function<double()>& draw) {
  const auto whole = static_cast<double>(height * width);
  for (int i = 0; i < kTries; ++i) {
    const double area = whole * (least_area + (1 - least_area) * draw());
    const double shape =
        std::exp(std::log(kNarrowest) + (std::log(kWidest) - std::log(kNarrowest)) * draw());
    const std::int64_t part_width = std::llround(std::sqrt(area * shape)),
                       part_height = std::llround(std::sqrt(area / shape));
    const double top = draw(), left = draw();
    if (part_width < 1 || part_height < 1 || part_width > width || part_height > height) continue;
    return {pick(height - part_height + 1, top), pick(width - part_width + 1, left), part_height,
            part_width};
  }
  const double shape =
      std::clamp(static_cast<double>(width) / static_cast<double>(height), kNarrowest, kWidest);
  return middle_window(height, width, std::llround(1000 / shape), 1000);
}

CropWindow middle_window(std::int64_t height, std::int64_t width, std::int64_t shape_height,
                         std::int64_t shape_width) {
  const std::int64_t part_width = std::clamp<std::int64_t>(
      std::llround(static_cast<double>(height * shape_width) / static_cast<double>(shape_height)),
      1, width);
  const std::int64_t part_height = std::clamp<std::int64_t>(
      std::llround(static_cast<double>(width * shape_height) / static_cast<double>(shape_width)), 1,
      height);
  return {(height - part_height) / 2, (width - part_width) / 2, part_height, part_width};
}

at::Tensor scaled_part(const at::Tensor& image, const CropWindow& window, std::int64_t height,
                       std::int64_t width) {
  const at::Tensor part = image.narrow(1, window.top, window.height)
                              .narrow(2, window.left, window.width)
                              .to(at::kFloat);
  if (window.height == height && window.width == width) return part;
  const std::array<std::int64_t, 2> size{height, width};
  return at::_upsample_bilinear2d_aa(part.unsqueeze(0).contiguous(), size, /*align_corners=*/false)
      .squeeze(0);
}

}  // namespace galvatron::data
