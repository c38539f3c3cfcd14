#include "galvatron/train/matmul_peak.h"

#include <algorithm>
#include <limits>

#include "galvatron/base/progress.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/runtime/unit_builder.h"

namespace galvatron::train {

double measured_matmul_flops(spec::Precision precision) {
  constexpr std::int64_t kSide = 1024;
  constexpr int kTries = 4;
  const at::NoGradGuard no_grad;
  const at::Tensor a = at::ones({kSide, kSide}, runtime::compute_scalar_type(precision));
  at::Tensor out = at::empty_like(a);
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kTries; ++i) {
    const double started = now_seconds();
    at::mm_out(out, a, a);
    best = std::min(best, now_seconds() - started);
  }
  return 2.0 * kSide * kSide * kSide / best;
}

}  // namespace galvatron::train
