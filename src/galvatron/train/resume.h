// What a run goes on from, and what it takes over from there.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/spec/model_spec.h"
#include "galvatron/train/checkpoint_index.h"

namespace galvatron::train {

struct TrainJob;
struct PreparedJob;

// --resume of the newest checkpoint in --save, or of nothing where there is none yet.
inline constexpr const char* kAutoResume = "auto";

struct ResumePoint {
  // Best first; those behind the first are for where it is damaged. Empty: the run starts anew.
  std::vector<std::filesystem::path> candidates;
  CheckpointIndex index;           // of the first
  std::vector<std::string> notes;  // what the user should know

  bool starts_anew() const { return candidates.empty(); }
  const std::filesystem::path& checkpoint() const { return candidates.front(); }
  // The first one is damaged, as `damage` says: on to the next. Rethrows it where there is none.
  void give_up_first(const DamagedCheckpoint& damage);
};

// ConfigError where there is nothing to go on from, DamagedCheckpoint where nothing is whole.
ResumePoint find_resume_point(const TrainJob& job);

// Options that fix the model's numbers, and which samples come in which order, where the user did
// not give them: those of the checkpoint. ConfigError where one was given and is another.
void take_options(const ResumePoint& resume, TrainJob& job);

// ConfigError where the checkpoint is of another model, optimizer or data, or leaves no step to do;
// goes on to the next candidate where it is damaged.
void check_resume(ResumePoint& resume, const PreparedJob& prepared);

// Does the option, by its name in Python, say where things are, which may change from one host and
// one day to another?
bool is_place(const std::string& option);

// What the user should know of options that differ from the checkpoint's and change what is
// learned: one line, "" for none.
std::string changed_options(const ResumePoint& resume, const OrderedJson& options);

}  // namespace galvatron::train
