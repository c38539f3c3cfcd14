// What a training step leaves behind, and the files of one line per step.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/base/partition.h"
#include "galvatron/base/units.h"

namespace galvatron::train {

struct StepRecord {
  std::int64_t step = 0;  // 1 is the first
  double loss = 0;        // mean over the labels of the global batch, before this step's update
  double grad_norm = 0;   // of all gradients, before clipping
  double lr = 0;
  std::int64_t tokens = 0;       // of this step, all ranks
  double seconds = 0;            // of this step
  double data_wait_seconds = 0;  // of them, those in which this rank waited for its samples
  Bytes memory;                  // most that tensors took on this rank's device during the step
  std::optional<std::int64_t> images;  // of this step, all ranks; only of image models
  std::optional<double>
      mfu;  // model FLOPs utilisation in [0, 1]; only where the device's peak is known
  // Where this step was followed by an evaluation: mean over its labels, exp of that (of text), and
  // the part of the labels that the model foretold.
  std::optional<double> valid_loss, valid_perplexity, valid_accuracy;
  // Of the last step: the same of the test.
  std::optional<double> test_loss, test_perplexity, test_accuracy;
  // No update: gradients overflowed (fp16), something was not finite, or no label counted.
  bool skipped = false;
  std::optional<Range> samples;  // of the run's samples, where the step was skipped

  double tokens_per_second() const { return per_second(tokens); }
  std::optional<double> images_per_second() const {
    return images ? std::optional(per_second(*images)) : std::nullopt;
  }

 private:
  double per_second(std::int64_t count) const {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0;
  }
};

// A figure of each step: lines of JSON, rows of CSV and what Prometheus reads are made from the
// list.
struct MetricColumn {
  const char* name;
  const char* help;                                      // one phrase, with the unit
  bool is_number;                                        // one that people plot
  std::optional<Json> (*value)(const StepRecord& step);  // nullopt: this step has none
};
const std::vector<MetricColumn>& metric_columns();

// {"step": 1, "loss": ..., "grad_norm": ..., "lr": ..., "tokens": ..., "seconds": ...,
// "data_wait_seconds": ..., "tokens_per_second": ..., "memory_bytes": ...}, numbers in full double
// precision; a number that is not finite is null. What only some steps have is left out in the
// others. A step that was left out has "skipped": true and "samples": [begin, end).
std::string to_json_line(const StepRecord& record);

// The names of all columns; and their values, "" for none and for what is not finite. "samples" is
// "first..last".
std::string csv_header();
std::string to_csv_row(const StepRecord& record);

enum class MetricsFormat { kJsonLines, kCsv };

class MetricsFile {
 public:
  // Makes missing folders. Of an existing file, the lines of the first `steps_done` steps stay.
  // ConfigError when it cannot be written, or holds a table of other columns.
  explicit MetricsFile(const std::filesystem::path& path, std::int64_t steps_done = 0,
                       MetricsFormat format = MetricsFormat::kJsonLines);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  // One line, at once, so that a reader can follow. RuntimeFailure when the disk is full or gone:
  // the line is kept, and written in front of the next.
  void write(const StepRecord& record);
  // Tries once more what could not be written.
  void finish();

 private:
  std::filesystem::path path_;
  MetricsFormat format_;
  int file_ = -1;
  std::string unwritten_;
};

}  // namespace galvatron::train
