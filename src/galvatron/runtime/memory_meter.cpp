#include "galvatron/runtime/memory_meter.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include "galvatron/comm/cuda.h"

namespace galvatron::runtime {
namespace {

constexpr std::uint8_t kPriority = 1;     // above torch's own, which registers with 0
constexpr std::size_t kHeaderBytes = 64;  // keeps torch's alignment

std::atomic<std::int64_t> current_bytes{0};
std::atomic<std::int64_t> peak_bytes{0};
std::atomic<bool> is_installed{false};

void count(std::int64_t bytes) {
  const std::int64_t now = current_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  std::int64_t peak = peak_bytes.load(std::memory_order_relaxed);
  while (now > peak && !peak_bytes.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

// Torch's own allocation with the size in front of it, so that the deleter knows it.
class CountingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &release, c10::Device(c10::kCPU)};
    void* block = c10::alloc_cpu(bytes + kHeaderBytes);
    std::memcpy(block, &bytes, sizeof bytes);
    count(static_cast<std::int64_t>(bytes));
    void* data = static_cast<std::byte*>(block) + kHeaderBytes;
    return {data, data, &release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static void release(void* data) {
    if (data == nullptr) return;
    void* block = static_cast<std::byte*>(data) - kHeaderBytes;
    std::size_t bytes = 0;
    std::memcpy(&bytes, block, sizeof bytes);
    count(-static_cast<std::int64_t>(bytes));
    c10::free_cpu(block);
  }
};

// The device asked for, or the first one.
int index_of(c10::Device device) { return device.has_index() ? device.index() : 0; }

}  // namespace

void MemoryMeter::install() {
  if (is_installed.exchange(true)) return;
  // Never destroyed: tensors in static variables are freed after main.
  static CountingAllocator* const allocator = new CountingAllocator;
  c10::SetCPUAllocator(allocator, kPriority);
}

bool MemoryMeter::installed() { return is_installed; }

Bytes MemoryMeter::current() const {
  if (device_.is_cuda()) return comm::cuda_plugin().memory(index_of(device_)).allocated;
  return {current_bytes.load(std::memory_order_relaxed)};
}

Bytes MemoryMeter::peak() const {
  if (device_.is_cuda()) return comm::cuda_plugin().memory(index_of(device_)).peak_allocated;
  return {peak_bytes.load(std::memory_order_relaxed)};
}

void MemoryMeter::reset_peak() {
  if (device_.is_cuda()) return comm::cuda_plugin().reset_peak_memory(index_of(device_));
  peak_bytes.store(current_bytes.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

}  // namespace galvatron::runtime
