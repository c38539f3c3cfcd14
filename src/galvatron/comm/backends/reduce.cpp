#include "galvatron/comm/backends/reduce.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::comm {
namespace {

constexpr std::int64_t kBlock = 512;

template <typename T>
using Accumulator =
    std::conditional_t<std::is_same_v<T, at::Half> || std::is_same_v<T, at::BFloat16>, float, T>;

struct Sum {
  template <typename A>
  static A apply(A a, A b) {
    return a + b;
  }
};

// NaN wins, as in at::maximum.
struct Max {
  template <typename A>
  static A apply(A a, A b) {
    return a > b || a != a ? a : b;
  }
};

template <typename Op, typename T>
void reduce_block(T* out, const std::vector<const T*>& parts, std::int64_t begin,
                  std::int64_t count) {
  using A = Accumulator<T>;
  A sum[kBlock];
  for (std::int64_t i = 0; i < count; ++i) sum[i] = static_cast<A>(parts[0][begin + i]);
  for (std::size_t p = 1; p < parts.size(); ++p) {
    const T* part = parts[p] + begin;
    for (std::int64_t i = 0; i < count; ++i) sum[i] = Op::apply(sum[i], static_cast<A>(part[i]));
  }
  for (std::int64_t i = 0; i < count; ++i) out[begin + i] = static_cast<T>(sum[i]);
}

template <typename Op, typename T>
void reduce_all(T* out, const std::vector<const T*>& parts, std::int64_t count) {
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    reduce_block<Op>(out, parts, begin, std::min(kBlock, count - begin));
  }
}

}  // namespace

void reduce_in_order(at::Tensor& output, std::span<const at::Tensor> parts, Reduction reduction) {
  GALV_CHECK(!parts.empty());
  AT_DISPATCH_ALL_TYPES_AND2(at::kHalf, at::kBFloat16, output.scalar_type(), "reduce_in_order",
                             [&] {
                               std::vector<const scalar_t*> pointers;
                               for (const at::Tensor& part : parts)
                                 pointers.push_back(part.const_data_ptr<scalar_t>());
                               auto* out = static_cast<scalar_t*>(output.data_ptr());
                               if (reduction == Reduction::kSum) {
                                 reduce_all<Sum>(out, pointers, output.numel());
                               } else {
                                 reduce_all<Max>(out, pointers, output.numel());
                               }
                             });
}

void copy_raw(const at::Tensor& to, const at::Tensor& from) {
  GALV_CHECK(to.nbytes() == from.nbytes(), to.nbytes(), " bytes from ", from.nbytes());
  if (to.nbytes() == 0 || to.data_ptr() == from.data_ptr()) return;
  if (to.is_cpu() && from.is_cpu()) {
    std::memcpy(to.data_ptr(), from.const_data_ptr(), to.nbytes());
    return;
  }
  const at::NoGradGuard no_grad;
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  at::Tensor target = to;
  target.view(-1).copy_(from.view(-1), /*non_blocking=*/true);
}

at::Tensor flat_slice(const at::Tensor& tensor, std::int64_t begin, std::int64_t size) {
  const at::NoGradGuard no_grad;
  return tensor.detach().view(-1).narrow(0, begin, size);
}

}  // namespace galvatron::comm
