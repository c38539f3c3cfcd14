#include "galvatron/train/run_folder.h"

#include <algorithm>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/base/user_path.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/train/checkpoint_folder.h"
#include "galvatron/train/durable_file.h"
#include "galvatron/train/timeline.h"
#include "galvatron/train/train_options.h"
#include "galvatron/train/versions.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRunFile = "run.json";
constexpr const char* kRunFormat = "galvatron-run";
constexpr const char* kMetricsFile = "metrics.jsonl";
constexpr const char* kSummaryFile = "summary.json";

constexpr const char* kWayOut = "; go on with it (--resume), or name another place for the new run";

// `name` in the run folder, unless another place was asked for; empty for nowhere.
fs::path output_path(const std::string& wish, const std::string& run_dir, const char* name) {
  if (!wish.empty()) return wish;
  return run_dir.empty() ? fs::path() : fs::path(run_dir) / name;
}

bool holds_something(const fs::path& file) {
  std::error_code error;
  return fs::is_regular_file(file, error) && fs::file_size(file, error) > 0;
}

// `theirs`: of the run that is there already.
void refuse_unless_same_run(const std::string& option, const fs::path& place,
                            const std::string& theirs, const ResumePoint& resume) {
  const std::string& own = resume.index.run;
  if (theirs == own || theirs.empty() || own.empty()) return;
  throw ConfigError("[train] ", option, " ", place.string(), " is of run ", theirs, ", not of run ",
                    own, " that ", resume.checkpoint().string(), " belongs to; name another place");
}

// Who forgets --save must not believe that it saves.
void refuse_idle_save_options(const TrainJob& job) {
  if (!job.save_dir.empty()) return;
  for (const char* name : {"save_interval", "async_save", "keep_last", "keep_every"}) {
    if (std::find(job.given.begin(), job.given.end(), name) == job.given.end()) continue;
    throw ConfigError("[train] --", dashed(name),
                      " is of checkpoints, and there are none: give "
                      "--save, the folder that they go to");
  }
}

void refuse_other_latest(const TrainJob& job) {
  const fs::path latest = latest_file(job.save_dir);
  if (job.save_dir.empty() || !fs::exists(latest) || fs::is_regular_file(latest)) return;
  throw ConfigError("[train] ", latest.string(),
                    " must be a file, which names the newest "
                    "checkpoint: move it away, or name another --save");
}

void refuse_used_save(const TrainJob& job, const ResumePoint& resume, bool goes_on) {
  if (job.save_dir.empty()) return;
  const std::optional<std::string> theirs = run_of_folder(job.save_dir);
  if (!theirs) return;
  if (!goes_on) {
    throw ConfigError("[train] --save ", job.save_dir, " holds checkpoints of another run",
                      kWayOut);
  }
  refuse_unless_same_run("--save", job.save_dir, *theirs, resume);
}

void refuse_used_run_dir(const TrainJob& job, const ResumePoint& resume, bool goes_on) {
  if (job.run_dir.empty()) return;
  const std::optional<std::string> theirs = run_of_run_folder(job.run_dir);
  if (!theirs) return;
  // A run that was cut off before its first checkpoint begins again.
  const bool begins_again = job.resume == kAutoResume && !job.load_weights_only &&
                            !holds_something(fs::path(job.run_dir) / kSummaryFile);
  if (!goes_on && begins_again) return;
  if (!goes_on) throw ConfigError("[train] --run-dir ", job.run_dir, " holds another run", kWayOut);
  refuse_unless_same_run("--run-dir", job.run_dir, *theirs, resume);
}

// The export takes the place of its folder as a whole: nothing else may be written there.
void refuse_export_around(const TrainJob& job) {
  if (job.export_dir.empty()) return;
  const fs::path exported = plain_path(job.export_dir);
  const std::pair<const char*, const std::string*> others[] = {{"--run-dir", &job.run_dir},
                                                               {"--save", &job.save_dir},
                                                               {"--metrics", &job.metrics},
                                                               {"--csv", &job.csv},
                                                               {"--trace", &job.trace}};
  for (const auto& [option, place] : others) {
    if (place->empty()) continue;
    const fs::path other = plain_path(*place);
    const auto [end, unused] =
        std::mismatch(exported.begin(), exported.end(), other.begin(), other.end());
    if (end != exported.end()) continue;
    throw ConfigError("[train] ", option, " ", *place, " lies in --export ", job.export_dir,
                      ", which holds weights alone: name another --export, such as ",
                      (fs::path(job.export_dir) / "export").string());
  }
}

}  // namespace

std::optional<std::string> run_of_run_folder(const fs::path& run_dir) {
  // A run that has not come to its first step leaves nothing to lose.
  const bool has_steps =
      holds_something(run_dir / kMetricsFile) || holds_something(run_dir / kSummaryFile);
  if (!has_steps) return std::nullopt;
  if (!fs::exists(run_dir / kRunFile)) return "";
  const Json json = read_json_file(run_dir / kRunFile);
  return JsonReader(json, (run_dir / kRunFile).string()).get_string_or("run", "");
}

void refuse_idle_trace_steps(const TrainJob& job) {
  const StepRanges& steps = job.trainer.trace_steps;
  if (steps.empty()) return;
  if (steps.last() > job.trainer.num_steps) {
    throw ConfigError("[train] --trace-steps ", steps.text(), ", but the run has ",
                      job.trainer.num_steps, " steps; name steps up to that, or give more --steps");
  }
  if (!trace_path(job).empty()) return;
  throw ConfigError("[train] --trace-steps ", steps.text(),
                    " has no place for the trace: give --run-dir, or --trace FILE");
}

void refuse_used_places(const TrainJob& job, const ResumePoint& resume) {
  refuse_idle_save_options(job);
  refuse_other_latest(job);
  refuse_export_around(job);
  const bool goes_on = !resume.starts_anew() && !job.load_weights_only;
  refuse_used_save(job, resume, goes_on);
  refuse_used_run_dir(job, resume, goes_on);
  // Lines of a run that was cut off before its first checkpoint stay: keep_old_metrics().
  const bool keeps_lines = goes_on || job.resume == kAutoResume;
  if (!keeps_lines && holds_something(job.metrics))
    throw ConfigError("[train] --metrics ", job.metrics, " holds another run", kWayOut);
  if (!keeps_lines && holds_something(job.csv))
    throw ConfigError("[train] --csv ", job.csv, " holds another run", kWayOut);
  if (!goes_on && !job.export_dir.empty() &&
      holds_something(fs::path(job.export_dir) / "config.json"))
    throw ConfigError("[train] --export ", job.export_dir, " holds another run's weights", kWayOut);
}

fs::path keep_old_metrics(const fs::path& metrics) {
  if (!holds_something(metrics)) return {};
  for (int i = 1;; ++i) {
    fs::path kept = metrics;
    kept.replace_filename(
        fmt::format("{}-{}{}", metrics.stem().string(), i, metrics.extension().string()));
    if (fs::exists(kept)) continue;
    fs::rename(metrics, kept);
    return kept;
  }
}

std::string new_run_id() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

fs::path trace_path(const TrainJob& job) {
  return output_path(job.trace, job.run_dir, "trace.json");
}

fs::path metrics_path(const TrainJob& job) {
  return output_path(job.metrics, job.run_dir, kMetricsFile);
}

OrderedJson run_start(const PreparedJob& prepared, const std::string& run) {
  return {{"format", kRunFormat},
          {"version", 1},
          {"run", run},
          {"model", prepared.model.name},
          {"world_size", prepared.plan.world_size},
          {"options", options_to_json(prepared)},
          {"versions", versions()}};
}

void write_run_start(const PreparedJob& prepared, const std::string& run) {
  const TrainJob& job = prepared.job;
  if (job.run_dir.empty()) return;
  write_durably(fs::path(job.run_dir) / kRunFile, run_start(prepared, run).dump(2) + "\n");
  plan::write_plan(fs::path(job.run_dir) / "plan.json", prepared.plan);
}

void write_run_end(const PreparedJob& prepared, const RunSummary& summary) {
  const TrainJob& job = prepared.job;
  if (job.run_dir.empty()) return;
  write_json_file(fs::path(job.run_dir) / kSummaryFile,
                  summary_to_json(summary, options_to_json(prepared)));
}

}  // namespace galvatron::train
