// What rank 0 writes of steps: the lines of metrics, the rows of a table, and the trace.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "galvatron/train/metrics.h"
#include "galvatron/train/train_job.h"

namespace galvatron::train {

class StepFiles {
 public:
  // Opens what the job asks for. ConfigError where a file cannot be written. `note`: one line for
  // the user.
  StepFiles(const TrainJob& job, std::int64_t steps_done,
            std::function<void(const std::string&)> note);

  // What a full disk does not take is kept, said once, and written when it does.
  void write(const StepRecord& record);
  // The same, tried again by finish().
  void write_trace(const OrderedJson& timeline);
  // RuntimeFailure or ConfigError where something still cannot be written.
  void finish();

 private:
  struct Output {
    std::unique_ptr<MetricsFile> file;
    bool waits = false;  // for a disk that takes its lines
  };
  void open(const std::filesystem::path& path, std::int64_t steps_done, MetricsFormat format);

  std::function<void(const std::string&)> note_;
  std::vector<Output> outputs_;
  std::filesystem::path trace_path_;  // empty: nowhere
  std::string unwritten_trace_;
};

}  // namespace galvatron::train
