// The places that a run writes to: tried before the first step, and not those of another run.
#pragma once
#include <filesystem>
#include <string>

#include "galvatron/train/resume.h"
#include "galvatron/train/run_summary.h"
#include "galvatron/train/train_job.h"

namespace galvatron::train {

// ConfigError where steps to trace are named that the run does not have, or no place for them.
void refuse_idle_trace_steps(const TrainJob& job);

// ConfigError where a folder or file holds what another run left: nothing of it is overwritten.
// A run that goes on may write where it wrote before.
void refuse_used_places(const TrainJob& job, const ResumePoint& resume);

// Id of the run that a run folder is of: "" where it does not tell, nothing where there is no run.
std::optional<std::string> run_of_run_folder(const std::filesystem::path& run_dir);

// A new id; random.
std::string new_run_id();

// Where the lines of metrics go; empty: nowhere.
std::filesystem::path metrics_path(const TrainJob& job);
// Lines of a run that left nothing to go on from make room for those of a new one: where they are
// now, "metrics-1.jsonl"; empty: there are none.
std::filesystem::path keep_old_metrics(const std::filesystem::path& metrics);

// Where the Chrome trace goes; empty: nowhere.
std::filesystem::path trace_path(const TrainJob& job);

// What can be said before the first step: id, command's options, versions; and that with the plan
// as run.json and plan.json.
OrderedJson run_start(const PreparedJob& prepared, const std::string& run);
void write_run_start(const PreparedJob& prepared, const std::string& run);
// What is known at the end: summary.json.
void write_run_end(const PreparedJob& prepared, const RunSummary& summary);

}  // namespace galvatron::train
