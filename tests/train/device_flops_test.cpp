#include "galvatron/train/device_flops.h"

#include <gtest/gtest.h>

namespace galvatron::train {
namespace {

TEST(DeviceFlops, ACpuHasNone) {
  EXPECT_EQ(device_peak_flops(c10::kCPU, spec::Precision::kBf16), 0);
  EXPECT_EQ(device_text(c10::kCPU), "cpu");
}

}  // namespace
}  // namespace galvatron::train
