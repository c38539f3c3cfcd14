#include "galvatron/nn/counter_random.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <type_traits>

#include <ATen/Parallel.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/machine_vectors.h"

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

// The top 53 bits as a fraction of 2^53.
std::int64_t drop_threshold(double p) { return std::llround(p * 0x1p53); }

// 64-bit products are vector instructions in AVX-512 alone: four times as fast.
struct KeepRow {
  template <typename T, typename Wide>
  GALVATRON_INTO_VECTORS static void run(T* __restrict out, const T* __restrict x,
                                         std::int64_t count, std::uint64_t first, std::uint64_t key,
                                         std::uint64_t threshold, Wide scale) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint64_t bits = scramble(scramble(first + static_cast<std::uint64_t>(i)) ^ key);
      const Wide factor = (bits >> 11) >= threshold ? scale : Wide(0);
      out[i] = static_cast<T>(static_cast<Wide>(x[i]) * factor);
    }
  }
};

template <typename T>
void keep_rows(const at::Tensor& out, const at::Tensor& x, const Places& places, std::uint64_t key,
               std::int64_t threshold, double scale) {
  const std::int64_t middle = x.size(1), inner = x.size(2), count = x.size(3);
  const T* from = x.const_data_ptr<T>();
  T* to = out.mutable_data_ptr<T>();
  using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const std::int64_t rows = x.size(0) * middle * inner;
  at::parallel_for(
      0, rows, std::max<std::int64_t>(1, (1 << 14) / count), [&](auto begin, auto end) {
        for (std::int64_t row = begin; row < end; ++row) {
          const std::int64_t first = places.first + row / (middle * inner) * places.strides[0] +
                                     row / inner % middle * places.strides[1] +
                                     row % inner * places.strides[2];
          run_in_vectors<KeepRow>(to + row * count, from + row * count, count,
                                  static_cast<std::uint64_t>(first), key,
                                  static_cast<std::uint64_t>(threshold), static_cast<Wide>(scale));
        }
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
  return shift_right(bits, 11).ge(drop_threshold(p));
}

at::Tensor kept_and_scaled(const at::Tensor& x_in, const Places& places, std::uint64_t key,
                           double p, double scale) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = x_in.contiguous();
  at::Tensor out = at::empty_like(x);
  if (x.numel() == 0) return out;
  const std::int64_t threshold = drop_threshold(p);
  switch (x.scalar_type()) {
    case at::kDouble:
      keep_rows<double>(out, x, places, key, threshold, scale);
      break;
    case at::kFloat:
      keep_rows<float>(out, x, places, key, threshold, scale);
      break;
    case at::kBFloat16:
      keep_rows<at::BFloat16>(out, x, places, key, threshold, scale);
      break;
    case at::kHalf:
      keep_rows<at::Half>(out, x, places, key, threshold, scale);
      break;
    default:
      GALV_CHECK(false, "dropout of ", c10::toString(x.scalar_type()));
  }
  return out;
}

}  // namespace galvatron::nn
