// Moments of what a device computes, in seconds of the host's clock. The host, which runs ahead,
// marks them on the way; they are read once it has waited anyway.
#pragma once
#include <cstddef>
#include <vector>

#include <c10/core/Device.h>
#include <c10/core/Event.h>

namespace galvatron::runtime {

class DeviceClock {
 public:
  explicit DeviceClock(c10::Device device) : device_(device) {}

  // Forgets all marks and waits for what the device has to do, the moment all others are counted
  // from.
  void start();
  // When the current stream comes here. Its number; waits for nothing.
  std::size_t mark();
  // Waits for the last mark.
  void settle() const;
  // REQUIRES: settle() behind the mark.
  double at(std::size_t mark) const;

 private:
  c10::Event& next_event();

  c10::Device device_;
  std::vector<c10::Event> events_;  // used again by every start(); the first is its moment
  std::size_t used_ = 0;
  double started_ = 0;
};

}  // namespace galvatron::runtime
