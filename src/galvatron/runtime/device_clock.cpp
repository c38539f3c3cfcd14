#include "galvatron/runtime/device_clock.h"

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"

namespace galvatron::runtime {

c10::Event& DeviceClock::next_event() {
  if (used_ == events_.size())
    events_.emplace_back(device_.type(), c10::EventFlag::BACKEND_DEFAULT);  // with its time
  return events_[used_++];
}

void DeviceClock::start() {
  used_ = 0;
  mark();
  settle();
  started_ = now_seconds();
}

std::size_t DeviceClock::mark() {
  const c10::Stream current = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
  const std::size_t number = used_;
  next_event().record(current);
  return number;
}

void DeviceClock::settle() const {
  GALV_CHECK(used_ > 0, "no moment of the device was marked");
  events_[used_ - 1].synchronize();
}

double DeviceClock::at(std::size_t mark) const {
  GALV_CHECK(mark < used_, "mark ", mark, " of ", used_);
  constexpr double kSeconds = 1e-3;  // of a millisecond
  return mark == 0 ? started_ : started_ + kSeconds * events_[0].elapsedTime(events_[mark]);
}

}  // namespace galvatron::runtime
