// Batches on their way to a device: copied from pinned memory on a stream of its own, so that what
// was read ahead is there before the step that needs it, and neither host nor compute waits.
#pragma once
#include <optional>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

namespace galvatron::train {

class DeviceCopies {
 public:
  // On a CPU there is nothing to copy: values pass as they are.
  explicit DeviceCopies(c10::Device device);

  // On the device once `done` has come; none: it is there.
  struct Copy {
    at::Tensor value;
    std::optional<c10::Event> done;
  };
  // Starts it. May be called by another thread than take(), by one at a time.
  Copy start(const at::Tensor& value) const;
  // The value, for what the current stream of this thread is given from now on.
  static at::Tensor take(Copy copy);

 private:
  c10::Device device_;
  std::optional<c10::Stream> stream_;  // none on a CPU
};

}  // namespace galvatron::train
