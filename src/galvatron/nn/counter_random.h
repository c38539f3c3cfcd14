// Random numbers that are a function of (key, index) and of nothing else, so that no layout of
// ranks changes them.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include <ATen/core/Tensor.h>

#include "galvatron/base/scramble.h"

namespace galvatron::nn {

// A key for a stream of numbers, such as (seed, parameter name) or (seed, layer, site).
std::uint64_t random_key(std::uint64_t seed, std::string_view name);

// Writes element i of the standard normal stream of `key` for i in [first, first + count), times
// stddev.
void fill_normal(double* out, std::int64_t count, std::uint64_t key, std::int64_t first,
                 double stddev);
void fill_normal(float* out, std::int64_t count, std::uint64_t key, std::int64_t first,
                 double stddev);

// True with probability 1 - p for each 64-bit index; a bool tensor of the shape of `index` (int64),
// on its device.
at::Tensor keep_mask(const at::Tensor& index, std::uint64_t key, double p);

// The indices of a tensor of four dimensions that is a part of a larger one: first + i strides[0] +
// j strides[1] + k strides[2] + l for its element [i, j, k, l].
struct Places {
  std::int64_t first = 0;
  std::array<std::int64_t, 3> strides{};
};

// x times `scale` where keep_mask() of its places is true, else 0; in fp32 or wider, rounded once.
// x [a, b, c, d] on the CPU; one pass, without a mask.
at::Tensor kept_and_scaled(const at::Tensor& x, const Places& places, std::uint64_t key, double p,
                           double scale);

}  // namespace galvatron::nn
