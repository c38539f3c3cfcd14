// Random numbers that are a function of (key, index) and of nothing else, so that no layout of ranks changes them.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace galvatron::nn {

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64-bit words that scrambles well.
constexpr std::uint64_t scramble(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// A key for a stream of numbers, such as (seed, parameter name) or (seed, layer, site).
std::uint64_t random_key(std::uint64_t seed, std::string_view name);

// Writes element i of the standard normal stream of `key` for i in [first, first + count), times stddev.
void fill_normal(double* out, std::int64_t count, std::uint64_t key, std::int64_t first, double stddev);
void fill_normal(float* out, std::int64_t count, std::uint64_t key, std::int64_t first, double stddev);

// True with probability 1 - p for each 64-bit index; a bool tensor of the shape of `index` (int64), on its device.
at::Tensor keep_mask(const at::Tensor& index, std::uint64_t key, double p);

}  // namespace galvatron::nn
