// The figures of a run for Prometheus: http://127.0.0.1:PORT/metrics, in its text format.
// Answers are made by threads of its own from a copy of what was told last: nobody who asks, or who
// stops in the middle, makes training wait.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "galvatron/train/metrics.h"

namespace galvatron::train {

// Of a run, what does not change.
struct RunFacts {
  std::string run, model, precision, device;
  int world_size = 1;
  std::int64_t num_steps = 0;  // of the whole run
};

// What has happened so far in this process.
class RunFigures {
 public:
  explicit RunFigures(RunFacts facts);
  void add(const StepRecord& record);
  // Gauges "galvatron_loss" and the like of the last step that had them, and counters
  // "galvatron_steps_total" since this process began.
  std::string exposition() const;

 private:
  RunFacts facts_;
  std::vector<std::optional<double>> last_;  // by column
  std::int64_t steps_ = 0, skipped_ = 0, tokens_ = 0, images_ = 0;
  double seconds_ = 0;
};

class MetricsServer {
 public:
  // Listens from here on, at this machine's own address alone. `port` 0: a free one. ConfigError
  // for a port in use.
  MetricsServer(int port, RunFacts facts);
  ~MetricsServer();

  std::string address() const;
  void tell(const StepRecord& record);

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace galvatron::train
