// What ran when on this rank: for the timeline of a step.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

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
  // `step`: what is recorded from here on is of it.
  void enable(bool on, std::int64_t step = 0) {
    enabled_ = on;
    step_ = step;
  }
  bool enabled() const { return enabled_; }
  void clear() { events_.clear(); }
  const std::vector<TraceEvent>& events() const { return events_; }

  // What has begun and ended already. Does nothing while it is off.
  void add(std::string name, const char* category, double start, double end, std::string part);

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
  };

 private:
  bool enabled_ = false;
  std::int64_t step_ = 0;
  std::vector<TraceEvent> events_;
};

}  // namespace galvatron::runtime
