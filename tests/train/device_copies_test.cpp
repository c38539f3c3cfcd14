#include "galvatron/train/device_copies.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/train/read_ahead.h"

#include "remembering_device.h"

namespace galvatron::train {
namespace {

using namespace galvatron::fake;

const std::vector<std::string> kStarted = {"copy of pinned memory on stream 7",
                                           "event on stream 7"};
const std::vector<std::string> kTaken = {"stream 0 waits for the event", "memory used by stream 0"};

// The values of a tensor on the device.
std::vector<std::int64_t> values(const at::Tensor& tensor) {
  const auto* data = static_cast<const std::int64_t*>(tensor.data_ptr());
  return {data, data + tensor.numel()};
}

// Its stream waits for nothing, and compute waits for it before it uses the value.
TEST_F(OnADevice, CopiesRunBesideComputeAndAreWaitedForByIt) {
  const DeviceCopies copies(kDevice);
  const at::Tensor value = at::arange(5, at::kLong);
  DeviceCopies::Copy copy;
  std::thread([&] {
    copy = copies.start(value);
    EXPECT_EQ(RememberingDevice::current, kComputes) << "of the thread, as before";
  }).join();
  EXPECT_EQ(told().take(), kStarted);
  const at::Tensor taken = DeviceCopies::take(std::move(copy));
  EXPECT_EQ(told().take(), kTaken);
  EXPECT_EQ(taken.device(), kDevice);
  EXPECT_EQ(values(taken), (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
}

TEST_F(OnADevice, NothingIsCopiedOnACpu) {
  const DeviceCopies copies(c10::kCPU);
  const at::Tensor value = at::arange(5, at::kLong);
  EXPECT_TRUE(DeviceCopies::take(copies.start(value)).is_same(value));
  EXPECT_TRUE(told().take().empty());
}

// Sample s has the number s.
class Numbers : public data::SampleSource {
 public:
  std::int64_t size() const override { return 100; }
  std::int64_t seq_length() const override { return 1; }
  at::Tensor fetch(spec::InputKind, std::int64_t consumed, Range samples, Range) const override {
    return at::arange(consumed + samples.begin, consumed + samples.end, at::kLong);
  }
  double num_labels(std::int64_t, std::int64_t count) const override {
    return static_cast<double>(count);
  }
};

// But what the host looks at. The first batch foretells the third.
TEST_F(OnADevice, BatchesThatWereReadAheadAreThere) {
  const Numbers samples;
  ReadAhead reader(samples, 2, 8, kDevice);
  for (std::int64_t step = 0; step < 3; ++step) {
    while (step == 2 && told().empty()) std::this_thread::yield();
    runtime::InputSource& batch = reader.batch(2 * step);
    const at::Tensor tokens = batch.fetch(spec::InputKind::kTokens, {0, 2}, {0, 1});
    EXPECT_EQ(values(tokens), (std::vector<std::int64_t>{2 * step, 2 * step + 1}));
    EXPECT_EQ(tokens.device(), step == 2 ? kDevice : c10::Device(c10::kCPU)) << step;
    EXPECT_TRUE(batch.fetch(spec::InputKind::kDocuments, {0, 2}, {0, 1}).is_cpu());
  }
}

}  // namespace
}  // namespace galvatron::train
