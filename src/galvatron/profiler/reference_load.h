// A fixed piece of work that takes turns with what is measured. A machine whose speed changes
// changes both alike: what is kept of a measurement is its ratio to the load, times what the load
// took typically.
#pragma once
#include <vector>

#include <c10/core/Device.h>

#include "galvatron/profiler/compute_bench.h"

namespace galvatron::profiler {

class ReferenceLoad {
 public:
  explicit ReferenceLoad(c10::Device device);

  // About a millisecond of products and passes over memory, on this rank.
  void run() const { load_.run(1); }
  // One reading, in ms, which is kept.
  double read();
  // Of all readings the median. REQUIRES: there is one.
  double typical_ms() const;

 private:
  ComputeLoad load_;
  std::vector<double> readings_;
};

// The median of some readings now, of this rank alone.
double reference_ms_now(c10::Device device);

}  // namespace galvatron::profiler
