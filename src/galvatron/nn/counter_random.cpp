#include "galvatron/nn/counter_random.h"

#include <cmath>
#include <numbers>

#include <ATen/Parallel.h>

#include "galvatron/comm/torch_headers.h"

namespace galvatron::nn {
namespace {

double normal_at(std::uint64_t key, std::int64_t index) {
  const std::uint64_t bits = scramble(key ^ scramble(static_cast<std::uint64_t>(index)));
  // Two uniforms of 32 bits; the first is never 0.
  const double u1 = (static_cast<double>(bits >> 32) + 1) * 0x1p-32;
  const double u2 = static_cast<double>(bits & 0xffffffffULL) * 0x1p-32;
  return std::sqrt(-2 * std::log(u1)) * std::cos(2 * std::numbers::pi * u2);
}

template <typename T>
void fill_normal_of(T* out, std::int64_t count, std::uint64_t key, std::int64_t first,
                    double stddev) {
  at::parallel_for(0, count, 1 << 14, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      out[i] = static_cast<T>(stddev * normal_at(key, first + i));
  });
}

at::Tensor shift_right(const at::Tensor& x, int bits) {
  // int64 shifts copy the sign bit; mask it away.
  return x.__rshift__(bits).bitwise_and_(static_cast<std::int64_t>((~0ULL) >> bits));
}

at::Tensor scramble_words(at::Tensor x) {
  x = x + static_cast<std::int64_t>(0x9e3779b97f4a7c15ULL);
  x = x.bitwise_xor(shift_right(x, 30)).mul_(static_cast<std::int64_t>(0xbf58476d1ce4e5b9ULL));
  x = x.bitwise_xor(shift_right(x, 27)).mul_(static_cast<std::int64_t>(0x94d049bb133111ebULL));
  return x.bitwise_xor(shift_right(x, 31));
}

}  // namespace

std::uint64_t random_key(std::uint64_t seed, std::string_view name) {
  std::uint64_t hash = scramble(seed ^ 0x67616c7661ULL);
  for (const char c : name) hash = scramble(hash ^ static_cast<unsigned char>(c));
  return hash;
}

void fill_normal(double* out, std::int64_t count, std::uint64_t key, std::int64_t first,
                 double stddev) {
  fill_normal_of(out, count, key, first, stddev);
}

void fill_normal(float* out, std::int64_t count, std::uint64_t key, std::int64_t first,
                 double stddev) {
  fill_normal_of(out, count, key, first, stddev);
}

at::Tensor keep_mask(const at::Tensor& index, std::uint64_t key, double p) {
  const at::Tensor bits =
      scramble_words(scramble_words(index).bitwise_xor_(static_cast<std::int64_t>(key)));
  // The top 53 bits as a fraction of 2^53.
  const auto threshold = static_cast<std::int64_t>(std::llround(p * 0x1p53));
  return shift_right(bits, 11).ge(threshold);
}

}  // namespace galvatron::nn
