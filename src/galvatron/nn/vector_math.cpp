#include "galvatron/nn/vector_math.h"

#include <mutex>

#include "galvatron/comm/torch_headers.h"

namespace galvatron::nn {

void prepare_vector_math() {
  static std::once_flag once;
  std::call_once(once, [] {
    const at::NoGradGuard no_grad;
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      const at::Tensor x = at::full({1}, 0.5, type);
      x.exp(), x.expm1(), x.log(), x.log1p(), x.log2(), x.tanh(), x.erf(), x.sin(), x.cos(),
          x.sqrt(), x.pow(1.5);
    }
  });
}

}  // namespace galvatron::nn
