#include "galvatron/train/metrics.h"

#include <cerrno>
#include <cstring>
#include <fstream>

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
                   {"tokens_per_second", record.tokens_per_second()},
                   {"memory_bytes", record.memory.value}};
  if (record.mfu) line["mfu"] = *record.mfu;
  if (record.valid_loss) line["valid_loss"] = *record.valid_loss;
  if (record.skipped) line["skipped"] = true;
  if (record.samples) line["samples"] = {record.samples->begin, record.samples->end};
  return line.dump();
}

MetricsFile::MetricsFile(const std::filesystem::path& path, std::int64_t steps_done)
    : path_(path), file_(nullptr, &std::fclose) {
  std::error_code ignored;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ignored);
  if (steps_done > 0 && std::filesystem::exists(path, ignored))
    write_file_atomically(path, lines_of_first_steps(path, steps_done));
  file_.reset(std::fopen(path.c_str(), steps_done > 0 ? "a" : "w"));
  if (!file_) throw ConfigError("[train] cannot write ", path.string(), ": ", std::strerror(errno));
}

void MetricsFile::write(const StepRecord& record) {
  const std::string line = to_json_line(record) + "\n";
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() ||
      std::fflush(file_.get()) != 0) {
    throw RuntimeFailure("cannot write ", path_.string(), ": ", std::strerror(errno));
  }
}

}  // namespace galvatron::train
