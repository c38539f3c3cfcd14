#include "galvatron/nn/mixed_product.h"

#include <algorithm>

#include "galvatron/comm/torch_headers.h"

// MKL's, which torch brings along on x86: bf16 in, fp32 out. Weak: other builds have none.
extern "C" __attribute__((weak)) void cblas_gemm_bf16bf16f32(
    int layout, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const void* a,
    int stride_a, const void* b, int stride_b, float beta, float* c, int stride_c);

namespace galvatron::nn {
namespace {

constexpr int kRowMajor = 101, kNoTranspose = 111, kTranspose = 112;
constexpr std::int64_t kBlockElements = 1 << 20;
constexpr std::int64_t kLargestInt = 1 << 30;

bool has_rows(const at::Tensor& x) { return x.stride(1) == 1 && x.stride(0) >= x.size(1); }

bool has_bf16_products() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

bool mkl_takes(const at::Tensor& sum, const at::Tensor& a, const at::Tensor& b) {
  const std::int64_t most =
      std::max({sum.size(0), sum.size(1), a.size(0), a.stride(0), b.stride(0)});
  static const bool is_fast = cblas_gemm_bf16bf16f32 != nullptr && has_bf16_products();
  return is_fast && a.scalar_type() == at::kBFloat16 && has_rows(a) && has_rows(b) &&
         sum.is_contiguous() && most < kLargestInt;
}

void add_by_mkl(at::Tensor& sum, const at::Tensor& a, const at::Tensor& b, double alpha,
                IntoSum how) {
  const auto as_int = [](std::int64_t value) { return static_cast<int>(value); };
  cblas_gemm_bf16bf16f32(kRowMajor, kTranspose, kNoTranspose, as_int(sum.size(0)),
                         as_int(sum.size(1)), as_int(a.size(0)), static_cast<float>(alpha),
                         a.const_data_ptr(), as_int(a.stride(0)), b.const_data_ptr(),
                         as_int(b.stride(0)), how == IntoSum::kAdd ? 1 : 0,
                         sum.mutable_data_ptr<float>(), as_int(sum.stride(0)));
}

void add_by_blocks(at::Tensor& sum, const at::Tensor& a, const at::Tensor& b, double alpha,
                   IntoSum how) {
  const std::int64_t rows = std::max<std::int64_t>(1, kBlockElements / sum.size(1));
  for (std::int64_t begin = 0; begin < sum.size(0); begin += rows) {
    const std::int64_t count = std::min(rows, sum.size(0) - begin);
    const at::Tensor block = at::mm(a.narrow(1, begin, count).t(), b);
    at::Tensor part = sum.narrow(0, begin, count);
    how == IntoSum::kAdd ? part.add_(block, alpha) : part.copy_(block).mul_(alpha);
  }
}

}  // namespace

void add_product(at::Tensor& sum, const at::Tensor& a, const at::Tensor& b, double alpha,
                 IntoSum how) {
  const at::NoGradGuard no_grad;
  if (sum.numel() == 0) return;
  if (a.size(0) == 0) {
    if (how == IntoSum::kSet) sum.zero_();
    return;
  }
  const double beta = how == IntoSum::kAdd ? 1 : 0;
  if (sum.scalar_type() == a.scalar_type()) {
    at::addmm_out(sum, sum, a.t(), b, beta, alpha);
  } else if (sum.is_cuda()) {
    at::addmm_out(sum, sum, a.t(), b, at::kFloat, beta, alpha);
  } else if (mkl_takes(sum, a, b)) {
    add_by_mkl(sum, a, b, alpha, how);
  } else {
    add_by_blocks(sum, a, b, alpha, how);
  }
}

}  // namespace galvatron::nn
