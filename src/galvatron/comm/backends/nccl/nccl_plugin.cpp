// The plugin's one door: `galvatron_cuda_plugin`.
#include <string>
#include <utility>

#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>

#include "galvatron/comm/backends/nccl/nccl_backend.h"
#include "galvatron/comm/cuda.h"

namespace galvatron::comm {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

c10::DeviceIndex device_index(int index) { return static_cast<c10::DeviceIndex>(index); }

class Plugin final : public CudaPlugin {
 public:
  int device_count() override { return c10::cuda::device_count(); }

  void set_device(int index) override {
    at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);
    c10::cuda::set_device(device_index(index));
  }

  std::string device_name(int index) override {
    return at::cuda::getDeviceProperties(device_index(index))->name;
  }

  Bytes total_memory(int index) override {
    return {static_cast<std::int64_t>(
        at::cuda::getDeviceProperties(device_index(index))->totalGlobalMem)};
  }

  bool multiplies_float8(int index) override {
    const cudaDeviceProp& device = *at::cuda::getDeviceProperties(device_index(index));
    return device.major > 8 || (device.major == 8 && device.minor >= 9);
  }

  Memory memory(int index) override {
    const auto stats = allocator::getDeviceStats(device_index(index));
    return {{stats.allocated_bytes[0].current},
            {stats.allocated_bytes[0].peak},
            {stats.reserved_bytes[0].current},
            {stats.reserved_bytes[0].peak}};
  }

  void reset_peak_memory(int index) override { allocator::resetPeakStats(device_index(index)); }
  void empty_cache() override { allocator::emptyCache(); }

  void synchronize(int index) override {
    const c10::DeviceIndex before = c10::cuda::current_device();
    c10::cuda::set_device(device_index(index));
    c10::cuda::device_synchronize();
    c10::cuda::set_device(before);
  }

  void forbid_waiting(bool on) override {
    using Mode = c10::cuda::SyncDebugMode;
    c10::cuda::warning_state().set_sync_debug_mode(on ? Mode::L_ERROR : Mode::L_DISABLED);
  }

  std::shared_ptr<World::Factory> make_factory(c10::intrusive_ptr<c10d::Store> store,
                                               c10::Device device,
                                               std::chrono::milliseconds timeout) override {
    return make_nccl_group_factory(std::move(store), device, timeout);
  }
};

}  // namespace
}  // namespace galvatron::comm

extern "C" __attribute__((visibility("default"))) galvatron::comm::CudaPlugin*
galvatron_cuda_plugin() {
  static galvatron::comm::Plugin plugin;
  return &plugin;
}
