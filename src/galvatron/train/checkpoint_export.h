// The weights of any checkpoint as a Hugging Face folder, without training: one process, whatever
// ranks wrote it.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "galvatron/base/option.h"
#include "galvatron/spec/job_spec.h"

namespace galvatron::train {

struct CheckpointExport {
  std::string checkpoint;  // or a folder of them: the latest
  std::string output;
  // Preset, config.json or folder: of checkpoints before version 3, which do not say it.
  std::string model;
  spec::Precision precision = spec::Precision::kFp32;  // of what is written
  bool overwrite = false;                              // the weights that `output` holds
  // tokenizer.json or a folder of tokenizer files; empty: that of the run's data or first weights,
  // where it is still there.
  std::string tokenizer;
};

struct ExportedCheckpoint {
  std::filesystem::path checkpoint;
  std::string model;
  std::int64_t step = 0;
  std::int64_t num_weights = 0;
  std::vector<std::string> notes;  // damaged checkpoints that were passed over
};

OptionList export_options(CheckpointExport& request);

// Every byte of the weights is verified before the folder appears. Holds one whole parameter at a
// time. ConfigError in one sentence: no checkpoint, a damaged one, one of which the model is not
// known, an output that cannot be written or is no export (check_export).
ExportedCheckpoint export_checkpoint(const CheckpointExport& request);

}  // namespace galvatron::train
