#include "galvatron/profiler/reference_load.h"

#include "galvatron/comm/torch_headers.h"
#include "galvatron/profiler/stopwatch.h"

namespace galvatron::profiler {
namespace {

ComputeLoad::Shape short_shape(c10::Device device) {
  if (device.is_cuda()) return {2048, 2048, 8192, at::kBFloat16};
  return {64, 256, 1024, at::kFloat};
}

}  // namespace

ReferenceLoad::ReferenceLoad(c10::Device device) : load_(device, short_shape(device)) { run(); }

// Whatever ran before has left its own data in the caches.
double ReferenceLoad::read() {
  run();
  readings_.push_back(compute_time_of([this] { run(); }, load_.device()).value);
  return readings_.back();
}

double ReferenceLoad::typical_ms() const { return median(readings_); }

double reference_ms_now(c10::Device device) {
  constexpr int kReadings = 21;
  ReferenceLoad load(device);
  for (int i = 0; i < kReadings; ++i) load.read();
  return load.typical_ms();
}

}  // namespace galvatron::profiler
