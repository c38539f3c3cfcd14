// What a device is called, and how fast its maker says that it multiplies.
#pragma once
#include <string>

#include <c10/core/Device.h>

#include "galvatron/spec/job_spec.h"

namespace galvatron::train {

// "cpu", or "NVIDIA H100 80GB HBM3".
std::string device_text(c10::Device device);

// Dense matrix FLOPs per second in a precision, from the maker's data sheet (profiles/device.h); 0
// where we do not know, as for every CPU.
double device_peak_flops(c10::Device device, spec::Precision precision);

}  // namespace galvatron::train
