#include "galvatron/profiler/machine.h"

#include <algorithm>
#include <ctime>
#include <fstream>
#include <limits>
#include <string>

#include <sched.h>
#include <unistd.h>

#include <c10/core/CachingDeviceAllocator.h>
#include <torch/version.h>

#include "galvatron/base/progress.h"
#include "galvatron/comm/cuda.h"
#include "galvatron/comm/launch.h"
#include "galvatron/profiler/stopwatch.h"
#include "galvatron/runtime/memory_meter.h"

namespace galvatron::profiler {
namespace {

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

// The text behind "key<separator>" in a file of such lines; "" where there is none.
std::string value_in_file(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

// A size in kB of a file in /proc; 0 where there is none.
Bytes kilobytes_in_file(const char* path, const std::string& key) {
  const std::string text = value_in_file(path, key);
  return text.empty() ? Bytes{} : kibibytes(std::strtoll(text.c_str(), nullptr, 10));
}

// The container's limit; the largest number where there is none.
Bytes memory_limit() {
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream file(path);
    std::int64_t limit = 0;
    if (file >> limit && limit > 0) return {limit};
  }
  return {std::numeric_limits<std::int64_t>::max()};
}

// Seconds that all processors of the machine were busy since it started; nullopt where it does not
// say.
std::optional<double> busy_seconds() {
  std::ifstream file("/proc/stat");
  std::string cpu;
  double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft_irq = 0, steal = 0;
  file >> cpu >> user >> nice >> system >> idle >> wait >> irq >> soft_irq >> steal;
  if (!file || cpu != "cpu") return std::nullopt;
  return (user + nice + system + irq + soft_irq + steal) /
         static_cast<double>(sysconf(_SC_CLK_TCK));
}

int cuda_index(c10::Device device) { return device.has_index() ? device.index() : 0; }

}  // namespace

profiles::Provenance measured_here(std::int64_t seed, const std::string& note) {
  profiles::Provenance out;
  out.host = comm::host_name();
  out.date = utc_now();
  out.versions = {{"galvatron", GALVATRON_VERSION}, {"torch", TORCH_VERSION}};
  out.seed = seed;
  out.note = note;
  out.cores = available_cores();
  return out;
}

LoadOfOthers::LoadOfOthers()
    : started_at_(now_seconds()), busy_then_(busy_seconds()), own_then_(processor_seconds()) {}

double LoadOfOthers::own_seconds() const { return processor_seconds() - own_then_; }

std::optional<double> LoadOfOthers::cores(double ours) const {
  const std::optional<double> busy = busy_seconds();
  const double elapsed = now_seconds() - started_at_;
  if (!busy || !busy_then_ || elapsed <= 0) return std::nullopt;
  return std::max(0.0, *busy - *busy_then_ - ours) / elapsed;
}

std::string device_name(c10::Device device) {
  if (device.is_cuda()) return comm::cuda_plugin().device_name(cuda_index(device));
  const std::string model = value_in_file("/proc/cpuinfo", "model name");
  return model.empty() ? "cpu" : "cpu: " + model;
}

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
}

int threads_per_rank(int local_ranks) { return std::max(1, available_cores() / local_ranks); }

Bytes device_memory(c10::Device device, int local_ranks) {
  if (device.is_cuda()) return comm::cuda_plugin().total_memory(cuda_index(device));
  const Bytes installed = kilobytes_in_file("/proc/meminfo", "MemTotal");
  return {std::min(installed, memory_limit()).value / local_ranks};
}

Bytes memory_beside_tensors(c10::Device device) {
  const runtime::MemoryMeter meter(device);
  if (device.is_cuda()) {
    const auto [free, total] =
        c10::getDeviceAllocator(c10::kCUDA)
            ->getMemoryInfo(static_cast<c10::DeviceIndex>(cuda_index(device)));
    const Bytes used{static_cast<std::int64_t>(total - free)};
    return std::max(Bytes{}, used - comm::cuda_plugin().memory(cuda_index(device)).reserved);
  }
  return std::max(Bytes{}, kilobytes_in_file("/proc/self/status", "RssAnon") - meter.current());
}

}  // namespace galvatron::profiler
