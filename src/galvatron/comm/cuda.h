// Everything that needs CUDA, behind a plugin (libgalvatron_nccl.so, beside the binary in ../lib)
// that is opened when a CUDA device is first asked for: opening it makes torch's CUDA kernels
// available, and a CPU process stays small.
#pragma once
#include <chrono>
#include <memory>
#include <string>

#include <c10/core/Device.h>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "galvatron/base/units.h"
#include "galvatron/comm/world.h"

namespace galvatron::comm {

// ConfigError in one sentence when the plugin or a driver is missing, or there are not as many
// devices. Takes no memory of a device.
void check_cuda(int index);
// And makes device `index` the current one.
void require_cuda(int index);

// False instead of the error.
bool cuda_is_available();

// Has device `index` products of float8 matrices? REQUIRES: require_cuda().
bool multiplies_float8(int index);

// The device that "cpu", "cuda" or "auto" means; "auto" is CUDA where there is one.
c10::Device pick_device(const std::string& name);

// What the plugin offers. All but device_count() need a usable device.
class CudaPlugin {
 public:
  struct Memory {
    Bytes allocated;
    Bytes peak_allocated;
    Bytes reserved;
    Bytes peak_reserved;
  };
  virtual ~CudaPlugin() = default;
  virtual int device_count() = 0;  // 0 without a driver
  virtual void set_device(int index) = 0;
  virtual std::string device_name(int index) = 0;  // "NVIDIA H100 80GB HBM3"
  virtual Bytes total_memory(int index) = 0;
  virtual bool multiplies_float8(int index) = 0;  // compute capability 8.9 and above
  virtual Memory memory(int index) = 0;
  virtual void reset_peak_memory(int index) = 0;
  virtual void empty_cache() = 0;
  virtual void synchronize(int index) = 0;
  // From now on whatever makes the host wait for a device throws: for tests.
  virtual void forbid_waiting(bool on) = 0;
  virtual std::shared_ptr<World::Factory> make_factory(c10::intrusive_ptr<c10d::Store> store,
                                                       c10::Device device,
                                                       std::chrono::milliseconds timeout) = 0;
};

// The plugin, opened at the first call. ConfigError when it cannot be.
CudaPlugin& cuda_plugin();

// Groups that communicate by NCCL on `device`. REQUIRES: require_cuda().
std::shared_ptr<World::Factory> make_nccl_factory(c10::intrusive_ptr<c10d::Store> store,
                                                  c10::Device device,
                                                  std::chrono::milliseconds timeout);

}  // namespace galvatron::comm
