#include "galvatron/nn/score_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include <ATen/Parallel.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/machine_vectors.h"

namespace galvatron::nn {
namespace {

constexpr std::int64_t kLanes = 16;  // of the widest vectors
constexpr std::int64_t kScoresOfATask = 1 << 14;

// Cephes' expf for x <= 0, within two units of the last place; 0 where that is no normal number.
GALVATRON_INTO_VECTORS float exp_of(float x) {
  constexpr float kLeast = -87, kInverseLog2 = 1.44269504F;
  constexpr float kToInteger = 12582912;                                 // 1.5 * 2^23
  constexpr float kLog2High = 0.693359375F, kLog2Low = -2.12194440e-4F;  // ln 2 in two parts
  const float near = x < kLeast ? kLeast : x;
  const float n = (near * kInverseLog2 + kToInteger) - kToInteger;
  const float r = (near - n * kLog2High) - n * kLog2Low;
  float p = 1.9875691500E-4F;
  p = p * r + 1.3981999507E-3F;
  p = p * r + 8.3334519073E-3F;
  p = p * r + 4.1665795894E-2F;
  p = p * r + 1.6666665459E-1F;
  p = p * r + 5.0000001201E-1F;
  const float power = std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
  return x < kLeast ? 0.0F : (p * r * r + r + 1.0F) * power;
}

// Cephes' tanhf.
GALVATRON_INTO_VECTORS float tanh_of(float x) {
  constexpr float kSmall = 0.625F;
  const float size = x < 0 ? -x : x;
  const float square = x * x;
  float p = -5.70498872745E-3F;
  p = p * square + 2.06390887954E-2F;
  p = p * square - 5.37397155531E-2F;
  p = p * square + 1.33314422036E-1F;
  p = p * square - 3.33332819422E-1F;
  const float small = p * square * x + x;
  const float e = exp_of(-2 * size), large = (1 - e) / (1 + e);
  return size < kSmall ? small : (x < 0 ? -large : large);
}

struct RowScale {
  float of_product = 1;
  float cap = 0;
};

// What becomes of a row's products.
template <bool kCaps, bool kBiased>
struct ScoreOf {
  GALVATRON_INTO_VECTORS static float run(float product, const float* bias, std::int64_t j,
                                          const RowScale& scale) {
    float score = product * scale.of_product;
    if constexpr (kCaps) score = scale.cap * tanh_of(score);
    if constexpr (kBiased) score += bias[j];
    return score;
  }
};

template <bool kCaps, bool kBiased>
struct SoftmaxRow {
  using Score = ScoreOf<kCaps, kBiased>;
  GALVATRON_INTO_VECTORS static void run(float* __restrict row, const float* __restrict bias,
                                         std::int64_t count, RowScale scale, float* log_sum) {
    float most[kLanes], sums[kLanes];
    for (std::int64_t l = 0; l < kLanes; ++l) {
      most[l] = -std::numeric_limits<float>::infinity();
      sums[l] = 0;
    }
    const std::int64_t whole = count / kLanes * kLanes;
    for (std::int64_t j = 0; j < whole; j += kLanes) {
      for (std::int64_t l = 0; l < kLanes; ++l) {
        const float score = Score::run(row[j + l], bias, j + l, scale);
        row[j + l] = score;
        most[l] = score > most[l] ? score : most[l];
      }
    }
    for (std::int64_t j = whole; j < count; ++j) {
      row[j] = Score::run(row[j], bias, j, scale);
      most[0] = row[j] > most[0] ? row[j] : most[0];
    }
    float highest = most[0];
    for (std::int64_t l = 1; l < kLanes; ++l) highest = most[l] > highest ? most[l] : highest;
    for (std::int64_t j = 0; j < whole; j += kLanes) {
      for (std::int64_t l = 0; l < kLanes; ++l) {
        row[j + l] = exp_of(row[j + l] - highest);
        sums[l] += row[j + l];
      }
    }
    for (std::int64_t j = whole; j < count; ++j) {
      row[j] = exp_of(row[j] - highest);
      sums[0] += row[j];
    }
    float sum = 0;
    for (std::int64_t l = 0; l < kLanes; ++l) sum += sums[l];
    const float share = 1 / sum;
    for (std::int64_t j = 0; j < count; ++j) row[j] *= share;
    *log_sum = std::log(sum) + highest;
  }
};

template <bool kCaps, bool kBiased>
struct ProbabilityRow {
  using Score = ScoreOf<false, kBiased>;
  GALVATRON_INTO_VECTORS static void run(float* __restrict row, const float* __restrict bias,
                                         float* __restrict slope, std::int64_t count,
                                         RowScale scale, float log_sum) {
    for (std::int64_t j = 0; j < count; ++j) {
      float product = row[j];
      if constexpr (kCaps) {
        const float part = tanh_of(product * scale.of_product);
        slope[j] = 1 - part * part;
        product = part;
      }
      const RowScale rest{kCaps ? scale.cap : scale.of_product, 0};
      row[j] = exp_of(Score::run(product, bias, j, rest) - log_sum);
    }
  }
};

template <bool kSlopes>
struct GradientRow {
  GALVATRON_INTO_VECTORS static void run(float* __restrict gradient,
                                         const float* __restrict probability,
                                         const float* __restrict slope, std::int64_t count,
                                         float along, float scale) {
    for (std::int64_t j = 0; j < count; ++j) {
      float out = (gradient[j] - along) * probability[j] * scale;
      if constexpr (kSlopes) out *= slope[j];
      gradient[j] = out;
    }
  }
};

RowScale row_scale(const ScoreRule& rule) {
  const double of_product = rule.softcap > 0 ? rule.scale / rule.softcap : rule.scale;
  return {static_cast<float>(of_product), static_cast<float>(rule.softcap)};
}

struct Columns {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
};

// What a query sees: columns of its row, never none.
Columns seen_of(const ScoreRule& rule, std::int64_t query, std::int64_t keys) {
  const std::int64_t place = rule.first + query;
  return {rule.window > 0 ? std::max<std::int64_t>(0, place - rule.window + 1) : 0,
          rule.causal ? std::min(keys, place + 1) : keys};
}

void check_rows(const at::Tensor& x) {
  GALV_CHECK(x.is_cpu() && x.scalar_type() == at::kFloat && x.is_contiguous(),
             "rows of scores are contiguous, in fp32, on a CPU");
}

// Rows of a bias that expands to scores.
struct BiasRows {
  at::Tensor whole;
  BiasRows(const at::Tensor& bias, const at::Tensor& scores) {
    if (!bias.defined()) return;
    GALV_CHECK(bias.scalar_type() == at::kFloat && bias.stride(3) == 1, "rows of a bias");
    whole = bias.expand(scores.sizes());
  }
  bool any() const { return whole.defined(); }
  // nullptr where there is none.
  const float* row(std::int64_t row) const {
    if (!any()) return nullptr;
    const std::int64_t queries = whole.size(2), heads = whole.size(1);
    return whole.const_data_ptr<float>() + row / queries / heads * whole.stride(0) +
           row / queries % heads * whole.stride(1) + row % queries * whole.stride(2);
  }
};

// Calls what is compiled for rules with and without a cap, and a bias.
template <typename Call>
void with_flags(bool caps, bool biased, const Call& call) {
  if (caps && biased) return call(std::true_type(), std::true_type());
  if (caps) return call(std::true_type(), std::false_type());
  if (biased) return call(std::false_type(), std::true_type());
  call(std::false_type(), std::false_type());
}

// task(row's number, its query), on several threads.
template <typename Task>
void for_rows(const at::Tensor& scores, const Task& task) {
  const std::int64_t queries = scores.size(2), keys = scores.size(3);
  if (scores.numel() == 0) return;
  at::parallel_for(0, scores.numel() / keys, std::max<std::int64_t>(1, kScoresOfATask / keys),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row) task(row, row % queries);
                   });
}

void hide_others(float* row, const Columns& seen, std::int64_t keys) {
  std::fill(row, row + seen.begin, 0.0F);
  std::fill(row + seen.end, row + keys, 0.0F);
}

}  // namespace

at::Tensor softmax_rows(const at::Tensor& products, const at::Tensor& bias, const ScoreRule& rule) {
  check_rows(products);
  const std::int64_t keys = products.size(3);
  const at::Tensor log_sums =
      at::empty({products.size(0), products.size(1), products.size(2), 1}, products.options());
  float* rows = products.mutable_data_ptr<float>();
  float* logs = log_sums.mutable_data_ptr<float>();
  const RowScale scale = row_scale(rule);
  const BiasRows biases(bias, products);
  with_flags(rule.softcap > 0, biases.any(), [&](auto caps, auto biased) {
    for_rows(products, [&](std::int64_t row, std::int64_t query) {
      const Columns seen = seen_of(rule, query, keys);
      float* begin = rows + row * keys;
      hide_others(begin, seen, keys);
      const float* of_row = biased ? biases.row(row) + seen.begin : nullptr;
      run_in_vectors<SoftmaxRow<caps, biased>>(begin + seen.begin, of_row, seen.size(), scale,
                                               logs + row);
    });
  });
  return log_sums;
}

void probability_rows(const at::Tensor& products, const at::Tensor& bias,
                      const at::Tensor& log_sums, const at::Tensor& slope, const ScoreRule& rule) {
  check_rows(products);
  check_rows(log_sums);
  const std::int64_t keys = products.size(3);
  float* rows = products.mutable_data_ptr<float>();
  float* slopes = slope.defined() ? slope.mutable_data_ptr<float>() : nullptr;
  const float* logs = log_sums.const_data_ptr<float>();
  const RowScale scale = row_scale(rule);
  const BiasRows biases(bias, products);
  with_flags(slope.defined(), biases.any(), [&](auto caps, auto biased) {
    for_rows(products, [&](std::int64_t row, std::int64_t query) {
      const Columns seen = seen_of(rule, query, keys);
      float* begin = rows + row * keys;
      hide_others(begin, seen, keys);
      float* of_slope = caps ? slopes + row * keys : nullptr;
      if (caps) hide_others(of_slope, seen, keys);
      const float* of_row = biased ? biases.row(row) + seen.begin : nullptr;
      run_in_vectors<ProbabilityRow<caps, biased>>(begin + seen.begin, of_row,
                                                   caps ? of_slope + seen.begin : nullptr,
                                                   seen.size(), scale, logs[row]);
    });
  });
}

void score_gradient_rows(const at::Tensor& gradients, const at::Tensor& probabilities,
                         const at::Tensor& along, const at::Tensor& slope, double scale) {
  check_rows(gradients);
  check_rows(probabilities);
  check_rows(along);
  const std::int64_t keys = gradients.size(3);
  float* rows = gradients.mutable_data_ptr<float>();
  const float* others = probabilities.const_data_ptr<float>();
  const float* slopes = slope.defined() ? slope.const_data_ptr<float>() : nullptr;
  const float* sums = along.const_data_ptr<float>();
  const auto factor = static_cast<float>(scale);
  for_rows(gradients, [&](std::int64_t row, std::int64_t) {
    const std::int64_t at = row * keys;
    slopes != nullptr ? run_in_vectors<GradientRow<true>>(rows + at, others + at, slopes + at, keys,
                                                          sums[row], factor)
                      : run_in_vectors<GradientRow<false>>(rows + at, others + at, others + at,
                                                           keys, sums[row], factor);
  });
}

}  // namespace galvatron::nn
