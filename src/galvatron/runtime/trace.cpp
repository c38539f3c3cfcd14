#include "galvatron/runtime/trace.h"

#include <utility>

#include "galvatron/base/progress.h"
#include "galvatron/plan/traced_step.h"

namespace galvatron::runtime {
namespace {

constexpr double kNothing = 2e-6;  // seconds: a call that only starts something

bool is_nothing(const TraceEvent& event) {
  return event.category == plan::kWaitInside && event.end - event.start < kNothing;
}

}  // namespace

void Trace::use_device(c10::Device device) {
  if (!device.is_cpu()) clock_.emplace(device);
}

void Trace::enable(bool on, std::int64_t step) {
  if (enabled_ && !on) settle();
  if (on && !enabled_ && clock_) clock_->start();
  enabled_ = on;
  step_ = step;
}

std::optional<std::size_t> Trace::mark() {
  if (!enabled_ || !clock_) return std::nullopt;
  return clock_->mark();
}

void Trace::add(TraceEvent event, std::optional<std::size_t> begin) {
  if (begin) marked_.push_back({events_.size(), *begin, clock_->mark()});
  events_.push_back(std::move(event));
}

// Marks become times.
void Trace::settle() {
  if (marked_.empty()) return;
  clock_->settle();
  for (const Marked& one : marked_) {
    events_[one.event].start = clock_->at(one.begin);
    events_[one.event].end = clock_->at(one.end);
  }
  marked_.clear();
  std::erase_if(events_, is_nothing);
}

void Trace::add_wait(std::string name, double start, double end, std::optional<std::size_t> mark,
                     std::string part) {
  if (!enabled_) return;
  TraceEvent event{std::move(name), plan::kWaitInside, start, end, step_, std::move(part)};
  if (mark || !is_nothing(event)) add(std::move(event), mark);
}

Trace::Scope::Scope(Trace& trace, std::string name, const char* category, std::string part)
    : trace_(trace) {
  if (!trace_.enabled_) return;
  event_ = {std::move(name), category, now_seconds(), 0, trace_.step_, std::move(part)};
  begin_ = trace_.mark();
}

Trace::Scope::~Scope() {
  if (!trace_.enabled_ || event_.start == 0) return;
  event_.end = now_seconds();
  trace_.add(std::move(event_), begin_);
}

}  // namespace galvatron::runtime
