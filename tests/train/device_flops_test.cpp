#include "galvatron/train/device_flops.h"

#include <gtest/gtest.h>

namespace galvatron::train {
namespace {

TEST(DeviceFlops, ComeFromTheDeviceName) {
  EXPECT_EQ(peak_flops("NVIDIA H100 80GB HBM3", spec::Precision::kBf16), 989.4e12);
  EXPECT_EQ(peak_flops("NVIDIA H100 PCIe", spec::Precision::kBf16), 756e12);
  EXPECT_EQ(peak_flops("NVIDIA A100-SXM4-40GB", spec::Precision::kFp32), 19.5e12);
  EXPECT_EQ(peak_flops("a device that we do not know", spec::Precision::kBf16), 0);
}

TEST(DeviceFlops, ACpuHasNone) {
  EXPECT_EQ(device_peak_flops(c10::kCPU, spec::Precision::kBf16), 0);
  EXPECT_EQ(device_text(c10::kCPU), "cpu");
}

}  // namespace
}  // namespace galvatron::train
