#include "galvatron/train/metrics.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"

namespace galvatron::train {
namespace {

template <typename T>
std::optional<Json> json_of(const std::optional<T>& value) {
  return value ? std::optional(Json(*value)) : std::nullopt;
}

// A run that ended without a word may have left half a line.
bool is_of_first_json_steps(const std::string& line, std::int64_t steps_done) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return false;
  const auto step = json.find("step");
  return step != json.end() && step->is_number_integer() && step->get<std::int64_t>() <= steps_done;
}

// Of rows, which begin with the step, those that are whole; and the header.
bool is_of_first_rows(const std::string& line, std::int64_t steps_done) {
  if (line == csv_header()) return true;
  const auto commas = [](const std::string& text) {
    return std::count(text.begin(), text.end(), ',');
  };
  std::int64_t step = 0;
  const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), step);
  return error == std::errc() && *rest == ',' && commas(line) == commas(csv_header()) &&
         step <= steps_done;
}

std::string lines_of_first_steps(const std::filesystem::path& path, std::int64_t steps_done,
                                 MetricsFormat format) {
  std::ifstream in(path);
  std::string out;
  for (std::string line; std::getline(in, line);) {
    const bool stays = format == MetricsFormat::kCsv ? is_of_first_rows(line, steps_done)
                                                     : is_of_first_json_steps(line, steps_done);
    if (stays) out += line + "\n";
  }
  return out;
}

// Rows below a header of another version would lie in wrong columns.
void refuse_other_columns(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string header;
  if (!std::getline(in, header) || header == csv_header()) return;
  throw ConfigError("[train] ", path.string(), " has other columns than ", csv_header(),
                    "; name another file for the rows of this run");
}

// [begin, end) as "first..last", for one cell.
std::string cell_of(const Json& value) {
  if (value.is_array())
    return fmt::format("{}..{}", value[0].get<std::int64_t>(), value[1].get<std::int64_t>() - 1);
  return value.is_null() || value.dump() == "null" ? "" : value.dump();
}

}  // namespace

const std::vector<MetricColumn>& metric_columns() {
  using Step = const StepRecord&;
  using Value = std::optional<Json>;
  static const std::vector<MetricColumn> columns = {
      {"step", "Step of the run that was done last", true, [](Step s) -> Value { return s.step; }},
      {"loss", "Mean loss over the labels of the step's batch, before its update", true,
       [](Step s) -> Value { return s.loss; }},
      {"grad_norm", "Norm of all gradients, before clipping", true,
       [](Step s) -> Value { return s.grad_norm; }},
      {"lr", "Learning rate", true, [](Step s) -> Value { return s.lr; }},
      {"tokens", "Tokens of the step, all ranks", true, [](Step s) -> Value { return s.tokens; }},
      {"seconds", "Seconds that the step took", true, [](Step s) -> Value { return s.seconds; }},
      {"data_wait_seconds", "Seconds of the step in which rank 0 waited for its samples", true,
       [](Step s) -> Value { return s.data_wait_seconds; }},
      {"tokens_per_second", "Tokens per second in the step, all ranks", true,
       [](Step s) -> Value { return s.tokens_per_second(); }},
      {"memory_bytes", "Most bytes that tensors took on rank 0 during the step", true,
       [](Step s) -> Value { return s.memory.value; }},
      {"images_per_second", "Images per second in the step, all ranks", true,
       [](Step s) { return json_of(s.images_per_second()); }},
      {"mfu", "Model FLOPs utilisation of the devices, 0 to 1", true,
       [](Step s) { return json_of(s.mfu); }},
      {"valid_loss", "Mean loss over the labels of the last evaluation", true,
       [](Step s) { return json_of(s.valid_loss); }},
      {"valid_perplexity", "exp of the mean loss of the last evaluation", true,
       [](Step s) { return json_of(s.valid_perplexity); }},
      {"valid_accuracy", "Part of the labels of the last evaluation that were foretold, 0 to 1",
       true, [](Step s) { return json_of(s.valid_accuracy); }},
      {"test_loss", "Mean loss over the labels of the test after the last step", true,
       [](Step s) { return json_of(s.test_loss); }},
      {"test_perplexity", "exp of the mean loss of the test", true,
       [](Step s) { return json_of(s.test_perplexity); }},
      {"test_accuracy", "Part of the labels of the test that were foretold, 0 to 1", true,
       [](Step s) { return json_of(s.test_accuracy); }},
      {"skipped", "Whether the step was left out", false,
       [](Step s) { return s.skipped ? Value(true) : std::nullopt; }},
      {"samples", "Samples of the run that were left out", false,
       [](Step s) {
         return s.samples ? Value(Json{s.samples->begin, s.samples->end}) : std::nullopt;
       }},
  };
  return columns;
}

std::string to_json_line(const StepRecord& record) {
  OrderedJson line;
  for (const MetricColumn& column : metric_columns()) {
    if (const std::optional<Json> value = column.value(record)) line[column.name] = *value;
  }
  return line.dump();
}

std::string csv_header() {
  std::string out;
  for (const MetricColumn& column : metric_columns()) {
    if (!out.empty()) out += ',';
    out += column.name;
  }
  return out;
}

std::string to_csv_row(const StepRecord& record) {
  std::string out;
  for (const MetricColumn& column : metric_columns()) {
    if (!out.empty()) out += ',';
    if (const std::optional<Json> value = column.value(record)) out += cell_of(*value);
  }
  return out;
}

MetricsFile::MetricsFile(const std::filesystem::path& path, std::int64_t steps_done,
                         MetricsFormat format)
    : path_(path), format_(format) {
  std::error_code ignored;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ignored);
  if (steps_done > 0 && std::filesystem::exists(path, ignored)) {
    if (format == MetricsFormat::kCsv) refuse_other_columns(path);
    write_file_atomically(path, lines_of_first_steps(path, steps_done, format));
  }
  constexpr mode_t kMode = 0666;
  const int start = steps_done > 0 ? O_APPEND : O_TRUNC;
  file_ = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | start, kMode);
  if (file_ < 0)
    throw ConfigError("[train] cannot write ", path.string(), ": ", std::strerror(errno));
  const bool is_empty = lseek(file_, 0, SEEK_END) <= 0;
  if (format == MetricsFormat::kCsv && is_empty) unwritten_ = csv_header() + "\n";
}

void MetricsFile::write(const StepRecord& record) {
  unwritten_ += (format_ == MetricsFormat::kCsv ? to_csv_row(record) : to_json_line(record)) + "\n";
  finish();
}

void MetricsFile::finish() {
  while (!unwritten_.empty()) {
    const ssize_t count = ::write(file_, unwritten_.data(), unwritten_.size());
    if (count > 0) {
      unwritten_.erase(0, static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      throw RuntimeFailure("cannot write ", path_.string(), ": ", std::strerror(errno));
    }
  }
}

MetricsFile::~MetricsFile() {
  if (file_ >= 0) close(file_);
}

}  // namespace galvatron::train
