#include "galvatron/comm/cuda.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <dlfcn.h>

#include "galvatron/base/error.h"
#include "galvatron/base/own_folder.h"

namespace galvatron::comm {
namespace {

constexpr const char* kPluginFile = "libgalvatron_nccl.so";

std::filesystem::path plugin_path() {
  if (const auto path = find_own_library(kPluginFile)) return *path;
  throw ConfigError("[device] cuda was asked for, but this build has no CUDA plugin (", kPluginFile,
                    " beside the binary): use --device cpu");
}

CudaPlugin& open_plugin() {
  const std::string path = plugin_path().string();
  // Global symbols and never closed: torch registers its CUDA kernels from here.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
  if (!library) {
    throw ConfigError("[device] cuda was asked for, but the CUDA plugin cannot be opened (",
                      dlerror(), "): use --device cpu");
  }
  using Factory = CudaPlugin* (*)();
  const auto factory = reinterpret_cast<Factory>(dlsym(library, "galvatron_cuda_plugin"));
  GALV_CHECK(factory, path, " has no galvatron_cuda_plugin");
  return *factory();
}

}  // namespace

CudaPlugin& cuda_plugin() {
  static CudaPlugin& plugin = open_plugin();
  return plugin;
}

void check_cuda(int index) {
  const int count = cuda_plugin().device_count();
  if (count == 0) {
    throw ConfigError(
        "[device] cuda was asked for, but this machine has no usable CUDA device (no GPU or no "
        "driver): use "
        "--device cpu");
  }
  if (index >= count) {
    throw ConfigError("[device] cuda:", index, " was asked for, but this machine has ", count,
                      count == 1 ? " CUDA device" : " CUDA devices",
                      ": start at most one rank per device");
  }
}

void require_cuda(int index) {
  check_cuda(index);
  cuda_plugin().set_device(index);
}

bool multiplies_float8(int index) { return cuda_plugin().multiplies_float8(index); }

bool cuda_is_available() {
  try {
    check_cuda(0);
    return true;
  } catch (const ConfigError&) {
    return false;
  }
}

c10::Device pick_device(const std::string& name) {
  if (name == "cuda") return c10::kCUDA;
  // The driver's own device file: asking CUDA itself would cost every CPU run its libraries.
  if (name == "auto" && std::filesystem::exists("/dev/nvidiactl") && cuda_is_available())
    return c10::kCUDA;
  return c10::kCPU;
}

std::shared_ptr<World::Factory> make_nccl_factory(c10::intrusive_ptr<c10d::Store> store,
                                                  c10::Device device,
                                                  std::chrono::milliseconds timeout) {
  return cuda_plugin().make_factory(std::move(store), device, timeout);
}

}  // namespace galvatron::comm
