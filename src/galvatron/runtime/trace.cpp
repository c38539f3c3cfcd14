#include "galvatron/runtime/trace.h"

#include "galvatron/base/progress.h"

namespace galvatron::runtime {

void Trace::add(std::string name, const char* category, double start, double end,
                std::string part) {
  if (enabled_) events_.push_back({std::move(name), category, start, end, step_, std::move(part)});
}

Trace::Scope::Scope(Trace& trace, std::string name, const char* category, std::string part)
    : trace_(trace) {
  if (trace_.enabled_) {
    event_ = {std::move(name), category, now_seconds(), 0, trace_.step_, std::move(part)};
  }
}

Trace::Scope::~Scope() {
  if (!trace_.enabled_ || event_.start == 0) return;
  event_.end = now_seconds();
  trace_.events_.push_back(std::move(event_));
}

}  // namespace galvatron::runtime
