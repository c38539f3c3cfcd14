#include "galvatron/profiler/stopwatch.h"

#include <algorithm>
#include <ctime>
#include <numeric>

#include <c10/core/impl/VirtualGuardImpl.h>

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"

namespace galvatron::profiler {
namespace {

// The value below which `share` of the sorted values lie, interpolated.
double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto left = static_cast<std::size_t>(place);
  const std::size_t right = std::min(left + 1, sorted.size() - 1);
  return sorted[left] + (sorted[right] - sorted[left]) * (place - static_cast<double>(left));
}

}  // namespace

void synchronize(c10::Device device) {
  if (device.is_cpu()) return;
  const c10::impl::VirtualGuardImpl guard(device.type());
  guard.synchronizeDevice(device.has_index() ? device.index() : guard.getDevice().index());
}

Milliseconds time_of(const std::function<void()>& work, c10::Device device) {
  synchronize(device);
  const double start = now_seconds();
  work();
  synchronize(device);
  return {(now_seconds() - start) * 1000};
}

Milliseconds compute_time_of(const std::function<void()>& work, c10::Device device) {
  const double start = processor_seconds();
  const Milliseconds wall = time_of(work, device);
  const Milliseconds used{(processor_seconds() - start) * 1000};
  return device.is_cpu() ? std::min(wall, used) : wall;
}

double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double median(std::vector<double> values) {
  GALV_CHECK(!values.empty(), "median of nothing");
  std::sort(values.begin(), values.end());
  return quantile(values, 0.5);
}

double trimmed_mean(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto cut = static_cast<std::ptrdiff_t>(values.size() / 20);
  const double sum = std::accumulate(values.begin() + cut, values.end() - cut, 0.0);
  return sum / static_cast<double>(static_cast<std::ptrdiff_t>(values.size()) - 2 * cut);
}

double lower_quartile(std::vector<double> values) {
  GALV_CHECK(!values.empty(), "quartile of nothing");
  std::sort(values.begin(), values.end());
  return quantile(values, 0.25);
}

double relative_spread(std::vector<double> values) {
  GALV_CHECK(!values.empty(), "spread of nothing");
  std::sort(values.begin(), values.end());
  const double middle = quantile(values, 0.5);
  return middle > 0 ? (quantile(values, 0.75) - quantile(values, 0.25)) / 2 / middle : 0;
}

Deadline::Deadline(double seconds_from_now) : at_(now_seconds() + seconds_from_now) {}

double Deadline::seconds_left() const { return at_ - now_seconds(); }

double measure_until_stable(const std::function<double()>& measure, const Repeats& repeats,
                            const Deadline& deadline) {
  std::vector<double> values;
  while (static_cast<int>(values.size()) < repeats.max) {
    values.push_back(measure());
    if (static_cast<int>(values.size()) < repeats.min) continue;
    if (deadline.passed() || relative_spread(values) <= repeats.stable_spread) break;
  }
  return median(std::move(values));
}

}  // namespace galvatron::profiler
