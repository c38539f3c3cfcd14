#include "galvatron/train/metrics.h"

#include <cerrno>
#include <cstring>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"

namespace galvatron::train {

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
  return line.dump();
}

MetricsFile::MetricsFile(const std::filesystem::path& path, bool append)
    : path_(path), file_(nullptr, &std::fclose) {
  std::error_code ignored;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ignored);
  file_.reset(std::fopen(path.c_str(), append ? "a" : "w"));
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
