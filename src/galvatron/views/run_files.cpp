#include "galvatron/views/run_files.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/plan/traced_step.h"
#include "galvatron/views/tolerant_reader.h"

namespace galvatron::views {
namespace {

namespace fs = std::filesystem;

constexpr const char *kRunStart = "run.json", *kRunPlan = "plan.json",
                     *kRunSummary = "summary.json", *kRunTrace = "trace.json";
constexpr std::array kMetricNames = {"loss",
                                     "grad_norm",
                                     "lr",
                                     "tokens",
                                     "seconds",
                                     "tokens_per_second",
                                     "memory_bytes",
                                     "images_per_second",
                                     "mfu",
                                     "valid_loss",
                                     "valid_perplexity",
                                     "valid_accuracy",
                                     "test_loss",
                                     "test_perplexity",
                                     "test_accuracy",
                                     "data_wait_seconds"};
// Of a file: a report of more would open in no browser.
constexpr std::int64_t kLargest = std::int64_t{256} << 20;

std::string path_in(const RunTexts& texts, const char* name) {
  return (fs::path(texts.folder) / name).string();
}

std::string read_text(const fs::path& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error) throw ConfigError("cannot read ", path.string(), ": ", error.message());
  if (static_cast<std::int64_t>(size) > kLargest) {
    throw ConfigError(path.string(), " has ", size, " bytes, more than a report can show");
  }
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) throw ConfigError("cannot read ", path.string());
  return text;
}

std::optional<double> seconds_since_change(const fs::path& path) {
  std::error_code error;
  const auto written = fs::last_write_time(path, error);
  if (error) return std::nullopt;
  return std::chrono::duration<double>(fs::file_time_type::clock::now() - written).count();
}

// nullopt: the file is not there.
std::optional<TolerantReader> read_object(const RunTexts& texts, const char* name) {
  const auto found = texts.files.find(name);
  if (found == texts.files.end()) return std::nullopt;
  const std::string path = path_in(texts, name);
  return TolerantReader(parse_json(found->second, path), path);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

bool is_blank(const std::string& line) {
  return line.find_first_not_of(" \t\r") == std::string::npos;
}

void drop_cut_line(std::vector<std::string>& lines, const std::string& text, Run& run) {
  if (lines.empty() || text.ends_with('\n') || Json::accept(lines.back())) return;
  run.notes.push_back(
      detail::concat("The last line of ", kRunMetrics, " is cut off, and left out."));
  lines.pop_back();
}

void read_metrics(const RunTexts& texts, Run& run) {
  const auto found = texts.files.find(kRunMetrics);
  if (found == texts.files.end()) {
    throw ConfigError(texts.folder, " holds no ", kRunMetrics,
                      "; is it the folder of a run (galvatron train --metrics)?");
  }
  const std::string path = path_in(texts, kRunMetrics);
  std::vector<std::string> lines = lines_of(found->second);
  drop_cut_line(lines, found->second, run);
  std::map<std::int64_t, std::array<std::optional<double>, kMetricNames.size()>> by_step;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (is_blank(lines[i])) continue;
    const std::string line = detail::concat(path, ", line ", i + 1);
    const TolerantReader reader(parse_json(lines[i], line + ","), line);
    auto& values = by_step[reader.integer("step").value_or(static_cast<std::int64_t>(i) + 1)];
    for (std::size_t n = 0; n < kMetricNames.size(); ++n)
      values[n] = reader.number(kMetricNames[n]);
  }
  if (by_step.empty()) {
    throw ConfigError(path, " holds no step: the run has not finished one yet");
  }
  for (const auto& [step, values] : by_step) run.steps.push_back(step);
  for (std::size_t n = 0; n < kMetricNames.size(); ++n) {
    RunColumn column;
    for (const auto& [step, values] : by_step) column.push_back(values[n]);
    const auto known = [](const std::optional<double>& value) { return value.has_value(); };
    if (std::any_of(column.begin(), column.end(), known))
      run.metrics[kMetricNames[n]] = std::move(column);
  }
}

void read_start(const TolerantReader& reader, Run& run) {
  run.model = reader.text("model");
  if (const auto size = reader.integer("world_size")) run.world_size = static_cast<int>(*size);
  run.options = reader.object("options").value();
}

RunRank read_rank(const TolerantReader& entry, std::size_t index) {
  return {static_cast<int>(entry.integer("rank").value_or(static_cast<std::int64_t>(index))),
          static_cast<int>(entry.integer("stage").value_or(0)), entry.number("peak_memory_bytes"),
          entry.number("predicted_memory_bytes"),
          plan::measured_memory_from_json(entry.object("memory").value())};
}

void read_summary(const TolerantReader& reader, Run& run) {
  RecordedSummary out;
  out.model = reader.text("model");
  out.device = reader.text("device");
  const std::vector<TolerantReader> ranks = reader.objects("ranks");
  for (std::size_t i = 0; i < ranks.size(); ++i) out.ranks.push_back(read_rank(ranks[i], i));
  std::stable_sort(out.ranks.begin(), out.ranks.end(),
                   [](const RunRank& a, const RunRank& b) { return a.rank < b.rank; });
  const auto fewest = static_cast<std::int64_t>(std::max<std::size_t>(1, ranks.size()));
  out.world_size = static_cast<int>(reader.integer("world_size").value_or(fewest));
  const TolerantReader seconds = reader.object("step_seconds");
  out.measured_seconds = seconds.number("measured");
  out.predicted_seconds = seconds.number("predicted");
  out.tokens_per_second = reader.number("tokens_per_second");
  out.why_unpredicted = reader.text("why_unpredicted");
  out.stopped_after = reader.integer("stopped_after");
  const Json options = reader.object("options").value();
  if (!options.empty()) run.options = options;
  run.summary = std::move(out);
}

// Of several traced steps the last.
std::int64_t traced_step(const TolerantReader& entry) {
  return entry.object("args").integer("step").value_or(0);
}

// Complete events of one step.
void read_trace(const TolerantReader& reader, Run& run) {
  constexpr double kMicroseconds = 1000;  // of a millisecond
  std::vector<TracedEvent> out;
  double begin = 0;
  const std::vector<TolerantReader> entries = reader.objects("traceEvents");
  std::int64_t step = 0;
  for (const TolerantReader& entry : entries) step = std::max(step, traced_step(entry));
  for (const TolerantReader& entry : entries) {
    if (entry.text("ph") != "X" || traced_step(entry) != step) continue;
    const std::string category = entry.text("cat");
    if (category == plan::kWholeStep || category == plan::kWaitInside) continue;  // for the table
    const double start = entry.number("ts").value_or(0), length = entry.number("dur").value_or(0);
    begin = out.empty() ? start : std::min(begin, start);
    const double microbatch = entry.object("args").number("microbatch").value_or(-1);
    out.push_back({category,
                   {start},
                   {start + std::max(length, 0.0)},
                   static_cast<int>(entry.integer("tid").value_or(0)),
                   static_cast<int>(std::clamp(microbatch, -1.0, 1e9))});
  }
  for (TracedEvent& event : out) {
    for (Milliseconds* time : {&event.start, &event.end})
      time->value = (time->value - begin) / kMicroseconds;
  }
  run.events = std::move(out);
  run.trace = OrderedJson(reader.value());
}

}  // namespace

RunTexts read_run_texts(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) throw ConfigError("there is no folder ", folder.string());
  RunTexts out{folder.string(), {}, seconds_since_change(folder / kRunMetrics)};
  for (const char* name : {kRunMetrics, kRunStart, kRunPlan, kRunSummary, kRunTrace}) {
    if (fs::exists(folder / name, error)) out.files[name] = read_text(folder / name);
  }
  return out;
}

bool has_begun(const RunTexts& texts) {
  const auto found = texts.files.find(kRunMetrics);
  return found != texts.files.end() && found->second.find('\n') != std::string::npos;
}

Run read_run(const RunTexts& texts) {
  Run run;
  run.folder = texts.folder;
  run.seconds_since_step = texts.seconds_since_step;
  read_metrics(texts, run);
  if (const auto start = read_object(texts, kRunStart)) read_start(*start, run);
  if (const auto plan = read_object(texts, kRunPlan)) {
    run.plan = plan::plan_from_json(plan->value(), path_in(texts, kRunPlan));
  }
  if (const auto summary = read_object(texts, kRunSummary)) read_summary(*summary, run);
  if (const auto trace = read_object(texts, kRunTrace)) read_trace(*trace, run);
  return run;
}

}  // namespace galvatron::views
