// What a run left in its folder: metrics.jsonl, and where they are there run, plan, summary and
// trace.json.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/base/units.h"
#include "galvatron/plan/memory_comparison.h"
#include "galvatron/plan/plan.h"

namespace galvatron::views {

inline constexpr const char* kRunMetrics = "metrics.jsonl";

// The files of a folder by their names, those that are no run's left out.
struct RunTexts {
  std::string folder;  // as messages name it
  std::map<std::string, std::string> files;
  // Since its last step was written; unset where nobody knows.
  std::optional<double> seconds_since_step;

  bool has(const std::string& name) const { return files.contains(name); }
};
// ConfigError for a folder that is not there or files that cannot be read.
RunTexts read_run_texts(const std::filesystem::path& folder);

using RunColumn = std::vector<std::optional<double>>;

struct RunRank {
  int rank = 0, stage = 0;
  std::optional<double> measured_bytes, predicted_bytes;  // of tensors, without the reserve
  std::optional<plan::MeasuredMemory> memory;             // what was measured consists of
};

struct RecordedSummary {
  std::string model, device;
  int world_size = 0;
  std::vector<RunRank> ranks;
  std::optional<double> measured_seconds, predicted_seconds, tokens_per_second;
  std::string why_unpredicted;
  std::optional<std::int64_t> stopped_after;  // a step
};

struct TracedEvent {
  std::string category;
  Milliseconds start, end;  // from the first event on
  int rank = 0;
  int microbatch = -1;  // -1: none
};

struct Run {
  std::string folder;
  std::vector<std::int64_t> steps;           // ascending
  std::map<std::string, RunColumn> metrics;  // a value for each step; names that have some
  std::string model;                         // of run.json
  std::optional<int> world_size;
  Json options;  // of the run; null: not known
  std::optional<plan::Plan> plan;
  std::optional<RecordedSummary> summary;
  std::optional<std::vector<TracedEvent>> events;  // of the picture
  OrderedJson trace;                               // the whole file; null: there is none
  std::optional<double> seconds_since_step;
  std::vector<std::string> notes;  // what a reader should know about the files
};

// Has it written a step? A folder that is made before its run begins has none yet.
bool has_begun(const RunTexts& texts);

// ConfigError where there is no run or one of its files is damaged. A last line of the metrics that
// is cut off is left out and noted; of a step that was run again the last line counts.
Run read_run(const RunTexts& texts);

}  // namespace galvatron::views
