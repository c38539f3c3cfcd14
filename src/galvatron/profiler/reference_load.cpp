#include "galvatron/profiler/reference_load.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/profiler/stopwatch.h"

namespace galvatron::profiler {
namespace {

struct LoadShape {
  std::int64_t tokens, hidden, inner;
  at::ScalarType type;
};

LoadShape load_shape(c10::Device device) {
  if (device.is_cuda()) return {2048, 2048, 8192, at::kBFloat16};
  return {64, 256, 1024, at::kFloat};
}

}  // namespace

ReferenceLoad::ReferenceLoad(c10::Device device) {
  const LoadShape shape = load_shape(device);
  const auto options = at::TensorOptions().dtype(shape.type).device(device);
  input_ = at::full({shape.tokens, shape.hidden}, 0.5, options);
  up_ = at::full({shape.inner, shape.hidden}, 0.01, options);
  down_ = at::full({shape.hidden, shape.inner}, 0.01, options);
  run();
}

void ReferenceLoad::run() const {
  const at::NoGradGuard no_grad;
  const at::Tensor inner = at::gelu(at::linear(input_, up_));
  at::layer_norm(input_ + at::linear(inner, down_), {input_.size(1)});
}

// Whatever ran before has left its own data in the caches.
double ReferenceLoad::read() {
  run();
  readings_.push_back(compute_time_of([this] { run(); }, input_.device()).value);
  return readings_.back();
}

double ReferenceLoad::typical_ms() const { return median(readings_); }

}  // namespace galvatron::profiler
