#include "galvatron/train/device_copies.h"

#include <utility>

#include <c10/core/StreamGuard.h>

#include "galvatron/comm/torch_headers.h"

namespace galvatron::train {

DeviceCopies::DeviceCopies(c10::Device device) : device_(device) {
  if (device.is_cpu()) return;
  const c10::impl::VirtualGuardImpl guard(device.type());
  if (!device_.has_index()) device_ = guard.getDevice();
  stream_ = guard.getStreamFromGlobalPool(device_);
}

// The pinned buffer may go at once: its allocator knows that the stream still reads it. The value's
// memory belongs to the stream, which has nothing but copies to wait for.
DeviceCopies::Copy DeviceCopies::start(const at::Tensor& value) const {
  if (!stream_ || !value.device().is_cpu()) return {value, std::nullopt};
  const c10::StreamGuard on_stream(*stream_);
  // Not Tensor::pin_memory(), which warns of its argument, and without it asks for an NVIDIA
  // driver.
  Copy copy{at::_pin_memory(value, device_).to(device_, /*non_blocking=*/true), std::nullopt};
  copy.done.emplace(device_.type());
  copy.done->record(*stream_);
  return copy;
}

// Freed memory goes back to the copies' stream: not before this one is through with it.
at::Tensor DeviceCopies::take(Copy copy) {
  if (!copy.done) return std::move(copy.value);
  const c10::Device device = copy.value.device();
  const c10::Stream current = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  copy.done->block(current);
  copy.value.record_stream(current);
  return std::move(copy.value);
}

}  // namespace galvatron::train
