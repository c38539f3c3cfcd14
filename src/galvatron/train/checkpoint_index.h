// checkpoint.json: what a checkpoint is of, how far the run is, and which files hold its state.
//
// Written since version 3; the last line is a checksum of all lines before it. Versions 1 and 2
// knew one file, state.safetensors, and no checksums; they are read.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"
#include "galvatron/spec/job_spec.h"
#include "galvatron/train/durable_file.h"
#include "galvatron/train/gather.h"
#include "galvatron/train/loss_scaler.h"

namespace galvatron::train {

inline constexpr int kCheckpointVersion = 3;
inline constexpr const char* kIndexFile = "checkpoint.json";

// A checkpoint that is not what was written: half of it is missing, or bytes were changed.
class DamagedCheckpoint : public ConfigError {
 public:
  DamagedCheckpoint(const std::filesystem::path& checkpoint, const std::string& what)
      : ConfigError("[checkpoint] ", checkpoint.string(), " is damaged: ", what) {}
  // What another rank found.
  explicit DamagedCheckpoint(const Problem& problem) : ConfigError(problem.text) {}
};

struct CheckpointIndex {
  int version = kCheckpointVersion;
  std::string model, optimizer;
  std::int64_t seq_length = 0, steps_done = 0, samples_consumed = 0, optimizer_steps = 0;
  LossScaler::State scaler;

  // --- since version 3 ---
  std::string run;  // id of the run that wrote it
  std::optional<spec::Precision> precision;
  std::int64_t global_batch = 0;  // 0: unknown
  OrderedJson model_config;       // as ModelSpec::config
  OrderedJson options;            // of the run, by their names in Python
  OrderedJson data;               // {suffix: {"bytes", "checksum"}} of the data's files
  std::string samples_state;      // SampleSource::state() behind samples_consumed
  OrderedJson plan;               // that it was written under; any other can go on from it
  std::vector<FileRecord> files;
};

// The text of checkpoint.json.
std::string index_text(const CheckpointIndex& index);

// DamagedCheckpoint when it is missing, half, changed, or names files outside its folder.
CheckpointIndex read_index(const std::filesystem::path& checkpoint);

// What tells this index from any other: a line of text.
std::string index_print(const std::filesystem::path& checkpoint);

}  // namespace galvatron::train
