// The CUDA plugin: one clear sentence without a device; with one, an NCCL group of one.
#include "galvatron/comm/cuda.h"

#include <gtest/gtest.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/launch.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::comm {
namespace {

TEST(Cuda, WithoutADeviceTheErrorIsOneSentence) {
  if (cuda_is_available()) GTEST_SKIP() << "a CUDA device is here";
  WorldOptions options;
  options.device = c10::kCUDA;
  try {
    connect(LaunchEnvironment{}, options);
    FAIL() << "connected to a device that is not there";
  } catch (const ConfigError& error) {
    const std::string message = error.what();
    EXPECT_TRUE(message.starts_with("[device] cuda was asked for, but this ")) << message;
    EXPECT_TRUE(message.ends_with("use --device cpu")) << message;
  }
  EXPECT_THROW(single_world(c10::kCUDA), ConfigError);
}

TEST(Cuda, MoreRanksThanDevicesIsRefused) {
  if (!cuda_is_available()) GTEST_SKIP() << "no CUDA device";
  EXPECT_THROW(require_cuda(cuda_plugin().device_count()), ConfigError);
}

TEST(Cuda, NcclGroupOfOne) {
  if (!cuda_is_available()) GTEST_SKIP() << "no CUDA device";
  WorldOptions options;
  options.device = c10::kCUDA;
  World world = connect(LaunchEnvironment{}, options);
  EXPECT_EQ(world.device(), c10::Device(c10::kCUDA, 0));
  EXPECT_EQ(world.num_communicators(), 1);
  const at::TensorOptions on_device(world.device());
  at::Tensor tensor = at::arange(1000, on_device.dtype(at::kBFloat16));
  const at::Tensor before = tensor.clone();
  Group group = world.all();
  group.all_reduce(tensor);
  at::Tensor output = at::empty_like(tensor);
  group.all_gather_async(output, tensor).wait();
  EXPECT_TRUE(at::equal(output, before));
  group.reduce_scatter(output, before);
  group.all_to_all(output, before, {1000}, {1000});
  group.broadcast(output, 0);
  group.barrier();
  EXPECT_TRUE(at::equal(output, before));
  EXPECT_GT(cuda_plugin().memory(0).allocated.value, 0);
  EXPECT_FALSE(cuda_plugin().device_name(0).empty());
}

}  // namespace
}  // namespace galvatron::comm
