// How much memory tensors take on this rank's device: now, and at most since the last reset.
//
// CPU: every allocation of torch's CPU allocator in this process is counted (storage bytes as asked
// for, so the figure is what the plan is charged for, not what malloc rounds it to). Ranks that are
// threads of one process share the count. CUDA: the caching allocator's own statistics of the
// current device.
#pragma once
#include <c10/core/Device.h>

#include "galvatron/base/units.h"

namespace galvatron::runtime {

class MemoryMeter {
 public:
  // Puts the counting allocator in place of torch's, for the process. Call it in main, before other
  // threads and before the first tensor: what was allocated earlier is not counted. Safe to call
  // again.
  static void install();
  static bool installed();

  explicit MemoryMeter(c10::Device device) : device_(device) {}

  // 0 on the CPU while the meter is not installed.
  Bytes current() const;
  Bytes peak() const;
  void reset_peak();

 private:
  c10::Device device_;
};

}  // namespace galvatron::runtime
