#include "galvatron/train/step_files.h"

#include <utility>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/train/run_folder.h"

namespace galvatron::train {

StepFiles::StepFiles(const TrainJob& job, std::int64_t steps_done,
                     std::function<void(const std::string&)> note)
    : note_(std::move(note)), trace_path_(trace_path(job)) {
  const StepRanges& traced = job.trainer.trace_steps;
  if (!traced.empty() && traced.last() <= steps_done) {
    note_(fmt::format("no step of --trace-steps {} is left: the run goes on from step {}",
                      traced.text(), steps_done));
  }
  open(metrics_path(job), steps_done, MetricsFormat::kJsonLines);
  open(job.csv, steps_done, MetricsFormat::kCsv);
}

void StepFiles::open(const std::filesystem::path& path, std::int64_t steps_done,
                     MetricsFormat format) {
  if (path.empty()) return;
  if (steps_done == 0) {
    const std::filesystem::path kept = keep_old_metrics(path);
    if (!kept.empty())
      note_("the lines of a run that left no checkpoint are kept in " + kept.string());
  }
  outputs_.push_back({std::make_unique<MetricsFile>(path, steps_done, format)});
}

void StepFiles::write(const StepRecord& record) {
  for (Output& output : outputs_) {
    try {
      output.file->write(record);
      output.waits = false;
    } catch (const RuntimeFailure& failure) {
      if (!output.waits)
        note_(fmt::format("{}; training goes on, and the lines are kept until it can",
                          failure.what()));
      output.waits = true;
    }
  }
}

void StepFiles::write_trace(const OrderedJson& timeline) {
  if (trace_path_.empty()) return;
  const std::string text = timeline.dump() + "\n";
  try {
    write_file_atomically(trace_path_, text);
  } catch (const ConfigError& failure) {
    note_(fmt::format("{}; training goes on, and the trace is kept until its end", failure.what()));
    unwritten_trace_ = text;
  }
}

void StepFiles::finish() {
  if (!unwritten_trace_.empty()) write_file_atomically(trace_path_, unwritten_trace_);
  for (const Output& output : outputs_) output.file->finish();
}

}  // namespace galvatron::train
