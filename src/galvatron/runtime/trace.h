// What ran when on this rank: for the timeline of a step.
#pragma once
#include <string>
#include <vector>

namespace galvatron::runtime {

struct TraceEvent {
  std::string name;      // "F3", "B3", "receive activation 3"
  std::string category;  // forward, backward, communication, optimizer
  double start = 0;      // seconds of the monotonic clock, comparable between ranks of one machine
  double end = 0;
};

class Trace {
 public:
  void enable(bool on) { enabled_ = on; }
  bool enabled() const { return enabled_; }
  void clear() { events_.clear(); }
  const std::vector<TraceEvent>& events() const { return events_; }

  // Records the time from its making to its end.
  class Scope {
   public:
    Scope(Trace& trace, std::string name, const char* category);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Trace& trace_;
    TraceEvent event_;
  };

 private:
  bool enabled_ = false;
  std::vector<TraceEvent> events_;
};

}  // namespace galvatron::runtime
