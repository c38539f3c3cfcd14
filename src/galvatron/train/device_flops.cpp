#include "galvatron/train/device_flops.h"

#include <array>
#include <string_view>

#include "galvatron/comm/cuda.h"

namespace galvatron::train {
namespace {

// Dense figures of the data sheets, without sparsity. fp32 means CUDA cores: TF32 stays off.
struct Peak {
  std::string_view name;  // part of the device's name; the first that fits counts
  double half;            // bf16 and fp16, tensor cores
  double single;
  double twice;  // fp64, tensor cores where there are some
};
constexpr std::array<Peak, 7> kPeaks{{{"H100 PCIe", 756e12, 51e12, 51e12},
                                      {"H100", 989.4e12, 66.9e12, 66.9e12},
                                      {"H200", 989.4e12, 66.9e12, 66.9e12},
                                      {"A100", 312e12, 19.5e12, 19.5e12},
                                      {"A800", 312e12, 19.5e12, 19.5e12},
                                      {"L40S", 362e12, 91.6e12, 1.4e12},
                                      {"V100", 0, 15.7e12, 7.8e12}}};

}  // namespace

std::string device_text(c10::Device device) {
  if (!device.is_cuda()) return "cpu";
  return comm::cuda_plugin().device_name(device.has_index() ? device.index() : 0);
}

double device_peak_flops(c10::Device device, spec::Precision precision) {
  return device.is_cuda() ? peak_flops(device_text(device), precision) : 0;
}

double peak_flops(const std::string& name, spec::Precision precision) {
  for (const Peak& peak : kPeaks) {
    if (name.find(peak.name) == std::string::npos) continue;
    if (precision == spec::Precision::kFp64) return peak.twice;
    return precision == spec::Precision::kFp32 ? peak.single : peak.half;
  }
  return 0;
}

}  // namespace galvatron::train
