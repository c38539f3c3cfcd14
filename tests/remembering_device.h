// A device that has streams and events and remembers what it was told: torch's place for devices of
// one's own, its memory that of the host. A millisecond goes by with every event. Include it in one
// file of a test.
#pragma once
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <torch/library.h>

#include "galvatron/comm/torch_headers.h"

namespace galvatron::fake {

inline const c10::Device kDevice(c10::kPrivateUse1, 0);
constexpr c10::StreamId kComputes = 0, kFromThePool = 7;

// What the device was told, in order.
class Log {
 public:
  void add(const std::string& what) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(what);
  }
  bool empty() {
    const std::lock_guard lock(mutex_);
    return lines_.empty();
  }
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::move(lines_);
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

inline Log& told() {
  static Log one;
  return one;
}

inline std::string name_of(c10::StreamId stream) { return "stream " + std::to_string(stream); }

class RememberingDevice final : public c10::impl::DeviceGuardImplInterface {
 public:
  c10::DeviceType type() const override { return c10::kPrivateUse1; }
  c10::Device exchangeDevice(c10::Device) const override { return kDevice; }
  c10::Device getDevice() const override { return kDevice; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  c10::Stream getStream(c10::Device) const override { return stream(current); }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override {
    return stream(kFromThePool);
  }
  c10::Stream exchangeStream(c10::Stream next) const override {
    return stream(std::exchange(current, next.id()));
  }
  void record(void** event, const c10::Stream& on, c10::DeviceIndex,
              c10::EventFlag) const override {
    if (*event == nullptr) *event = new double;
    *static_cast<double*>(*event) = ++now;
    told().add("event on " + name_of(on.id()));
  }
  void destroyEvent(void* event, c10::DeviceIndex) const noexcept override {
    delete static_cast<double*>(event);
  }
  bool queryEvent(void*) const override { return true; }
  void synchronizeEvent(void*) const override { told().add("host waits"); }
  double elapsedTime(void* from, void* to, c10::DeviceIndex) const override {
    return *static_cast<double*>(to) - *static_cast<double*>(from);
  }
  void block(void*, const c10::Stream& on) const override {
    told().add(name_of(on.id()) + " waits for the event");
  }
  static inline thread_local c10::StreamId current = kComputes;
  static inline double now = 0;  // milliseconds

 private:
  static c10::Stream stream(c10::StreamId id) {
    return c10::Stream(c10::Stream::UNSAFE, kDevice, id);
  }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, RememberingDevice);

// Memory of the host that says it is something else.
class Memory final : public c10::Allocator {
 public:
  explicit Memory(c10::Device device) : device_(device) {}
  c10::DataPtr allocate(std::size_t bytes) override {
    void* data = std::malloc(bytes == 0 ? 1 : bytes);
    const std::lock_guard lock(mutex());
    ours().insert(data);
    return {data, data, &Memory::release, device_};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Memory::release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
  static bool has(const void* data) {
    const std::lock_guard lock(mutex());
    return ours().contains(data);
  }

 private:
  static void release(void* data) {
    const std::lock_guard lock(mutex());
    ours().erase(data);
    std::free(data);
  }
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  static std::set<const void*>& ours() {
    static std::set<const void*> all;
    return all;
  }
  c10::Device device_;
};

class Hooks final : public at::PrivateUse1HooksInterface {
 public:
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  bool isPinnedPtr(const void* data) const override { return Memory::has(data); }
  c10::Allocator* getPinnedMemoryAllocator() const override {
    static Memory pinned(c10::kCPU);
    return &pinned;
  }
};

inline at::Tensor on_device(at::IntArrayRef size, at::IntArrayRef stride,
                            std::optional<at::ScalarType> type, std::optional<at::Layout>,
                            std::optional<at::Device>, std::optional<bool>) {
  static Memory memory(kDevice);
  return at::detail::empty_strided_generic(size, stride, &memory,
                                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           type.value_or(at::kFloat));
}

inline at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  told().add(std::string(non_blocking ? "" : "blocking ") + "copy of " +
             (Memory::has(from.data_ptr()) ? "pinned" : "pageable") + " memory on " +
             name_of(RememberingDevice::current));
  std::memcpy(to.data_ptr(), from.data_ptr(), from.nbytes());
  return to;
}

inline void record_stream(at::Tensor&, c10::Stream on) {
  told().add("memory used by " + name_of(on.id()));
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty_strided", TORCH_FN(on_device));
  library.impl("_copy_from", TORCH_FN(copy_from));
  library.impl("record_stream", TORCH_FN(record_stream));
}

class OnADevice : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    static Hooks hooks;
    if (!at::isPrivateUse1HooksRegistered()) at::RegisterPrivateUse1HooksInterface(&hooks);
  }
  void SetUp() override { told().take(); }
};

}  // namespace galvatron::fake
