#include "galvatron/train/metrics.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"

namespace galvatron::train {
namespace {

// A run that ended without a word may have left half a line.
bool is_of_first_steps(const std::string& line, std::int64_t steps_done) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return false;
  const auto step = json.find("step");
  return step != json.end() && step->is_number_integer() && step->get<std::int64_t>() <= steps_done;
}

std::string lines_of_first_steps(const std::filesystem::path& path, std::int64_t steps_done) {
  std::ifstream in(path);
  std::string out;
  for (std::string line; std::getline(in, line);) {
    if (is_of_first_steps(line, steps_done)) out += line + "\n";
  }
  return out;
}

}  // namespace

std::string to_json_line(const StepRecord& record) {
  OrderedJson line{{"step", record.step},
                   {"loss", record.loss},
                   {"grad_norm", record.grad_norm},
                   {"lr", record.lr},
                   {"tokens", record.tokens},
                   {"seconds", record.seconds},
                   {"data_wait_seconds", record.data_wait_seconds},
                   {"tokens_per_second", record.tokens_per_second()},
                   {"memory_bytes", record.memory.value}};
  if (record.mfu) line["mfu"] = *record.mfu;
  if (record.valid_loss) line["valid_loss"] = *record.valid_loss;
  if (record.skipped) line["skipped"] = true;
  if (record.samples) line["samples"] = {record.samples->begin, record.samples->end};
  return line.dump();
}

MetricsFile::MetricsFile(const std::filesystem::path& path, std::int64_t steps_done) : path_(path) {
  std::error_code ignored;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ignored);
  if (steps_done > 0 && std::filesystem::exists(path, ignored))
    write_file_atomically(path, lines_of_first_steps(path, steps_done));
  constexpr mode_t kMode = 0666;
  const int start = steps_done > 0 ? O_APPEND : O_TRUNC;
  file_ = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | start, kMode);
  if (file_ < 0)
    throw ConfigError("[train] cannot write ", path.string(), ": ", std::strerror(errno));
}

void MetricsFile::write(const StepRecord& record) {
  unwritten_ += to_json_line(record) + "\n";
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
