// What ran when on this rank: for the timeline of a step.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/runtime/device_clock.h"

namespace galvatron::runtime {

struct TraceEvent {
  std::string name;      // "F3", "B3", "receive activation 3"
  std::string category;  // forward, backward, communication, optimizer
  double start = 0;      // seconds of the monotonic clock, comparable between ranks of one machine
  double end = 0;
  std::int64_t step = 0;  // of the run
  // What its own time counts as: a plan::StepKind's name, or kNeighbour (plan/traced_step.h); "":
  // as its category says.
  std::string part = "";
};

class Trace {
 public:
  // From here on times are those of the device's stream, which is not waited for but in enable().
  // On a CPU they are the host's.
  void use_device(c10::Device device);
  // `step`: what is recorded from here on is of it. Turned off, all times are there.
  void enable(bool on, std::int64_t step = 0);
  bool enabled() const { return enabled_; }
  void clear() { events_.clear(); }
  const std::vector<TraceEvent>& events() const { return events_; }

  // A moment for add(). Nothing where the host's clock tells, or while it is off.
  std::optional<std::size_t> mark();
  // A wait that has begun and ended already, by the host's clock or from a mark until now; the
  // shortest are nothing but calls. Does nothing while it is off.
  void add_wait(std::string name, double start, double end, std::optional<std::size_t> mark,
                std::string part);

  // Records the time from its making to its end.
  class Scope {
   public:
    Scope(Trace& trace, std::string name, const char* category, std::string part = "");
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Trace& trace_;
    TraceEvent event_;
    std::optional<std::size_t> begin_;
  };

 private:
  // An event whose times are marks so far.
  struct Marked {
    std::size_t event = 0, begin = 0, end = 0;
  };
  void add(TraceEvent event, std::optional<std::size_t> begin);
  void settle();

  std::optional<DeviceClock> clock_;
  std::vector<Marked> marked_;
  bool enabled_ = false;
  std::int64_t step_ = 0;
  std::vector<TraceEvent> events_;
};

}  // namespace galvatron::runtime
