#include "galvatron/train/device_flops.h"

#include "galvatron/comm/cuda.h"
#include "galvatron/profiles/device.h"

namespace galvatron::train {

std::string device_text(c10::Device device) {
  if (!device.is_cuda()) return "cpu";
  return comm::cuda_plugin().device_name(device.has_index() ? device.index() : 0);
}

double device_peak_flops(c10::Device device, spec::Precision precision) {
  return device.is_cuda() ? profiles::peak_flops(device_text(device), precision) : 0;
}

}  // namespace galvatron::train
