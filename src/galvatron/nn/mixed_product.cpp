#include "galvatron/nn/mixed_product.h"

#include <algorithm>

#include "galvatron/comm/torch_headers.h"

namespace galvatron::nn {
namespace {

// Of a product before it is added: a cache's.
constexpr std::int64_t kBlockElements = 1 << 20;

void add_by_blocks(at::Tensor& sum, const at::Tensor& a, const at::Tensor& b, double alpha,
                   IntoSum how) {
  const std::int64_t rows = std::max<std::int64_t>(1, kBlockElements / sum.size(1));
  for (std::int64_t begin = 0; begin < sum.size(0); begin += rows) {
    const std::int64_t count = std::min(rows, sum.size(0) - begin);
    at::Tensor block = at::empty({count, sum.size(1)}, a.options());
    at::addmm_out(block, block, a.narrow(1, begin, count).t(), b, /*beta=*/0, alpha);
    at::Tensor part = sum.narrow(0, begin, count);
    how == IntoSum::kAdd ? part.add_(block) : part.copy_(block);
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
  } else {
    add_by_blocks(sum, a, b, alpha, how);
  }
}

}  // namespace galvatron::nn
