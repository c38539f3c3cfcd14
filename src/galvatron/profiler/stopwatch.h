// Timing of device work: one call, a summary of several, and a time box.
#pragma once
#include <functional>
#include <vector>

#include <c10/core/Device.h>

#include "galvatron/base/units.h"

namespace galvatron::profiler {

// Waits until the device has done what was asked of it. Free on the CPU.
void synchronize(c10::Device device);

// Wall-clock time of `work`, its device work included.
Milliseconds time_of(const std::function<void()>& work, c10::Device device);

// The same for work that only computes. On the CPU never more than the processor time that it used,
// so that other programs on the machine do not count.
Milliseconds compute_time_of(const std::function<void()>& work, c10::Device device);

// Processor time of this process so far, all its threads.
double processor_seconds();

// REQUIRES: not empty.
double median(std::vector<double> values);
// Of the middle nine tenths: what happens now and then counts, a single accident does not.
// REQUIRES: not empty.
double trimmed_mean(std::vector<double> values);
// For times of one rank alone: what disturbs it (other programs, the other thread of its core) only
// ever adds. REQUIRES: not empty.
double lower_quartile(std::vector<double> values);

// Half the distance between the quartiles over the median: 0 for values that agree. REQUIRES: not
// empty.
double relative_spread(std::vector<double> values);

// A moment in the future.
class Deadline {
 public:
  explicit Deadline(double seconds_from_now);
  double seconds_left() const;  // negative once it has passed
  bool passed() const { return seconds_left() <= 0; }

 private:
  double at_;
};

// How often something is measured.
struct Repeats {
  int min = 3;
  int max = 30;
  double stable_spread = 0.05;  // enough once relative_spread() is at most this
};

// Calls `measure` until its values agree or the time is up, at least repeats.min times. Returns the
// median.
double measure_until_stable(const std::function<double()>& measure, const Repeats& repeats,
                            const Deadline& deadline);

}  // namespace galvatron::profiler
