// The folder of a run's checkpoints.
//
//   step-000100/   a checkpoint (checkpoint.h); "step-000100.partial" while it is being written
//   latest         the name of the newest one and its checksum: what --resume of the folder means.
//   A name
//                  that somebody wrote by hand counts too
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace galvatron::train {

// "step-000100".
std::string step_folder(std::int64_t step);

struct CheckpointCandidates {
  std::vector<std::filesystem::path> paths;  // best first, never empty
  std::string note;                          // what the user should know; usually empty
};

// What to go on from. `path`: a checkpoint, which is then the only one, or a folder: the checkpoint
// that `latest` names, then the earlier ones of the same run, for where it is damaged. ConfigError
// when there is none, or when it is not clear which: checkpoints of several runs and no `latest`.
CheckpointCandidates checkpoint_candidates(const std::filesystem::path& path);

// The file that names the newest one.
std::filesystem::path latest_file(const std::filesystem::path& folder);

// Id of the run whose checkpoints the folder holds; "" where they tell none, nothing where there
// are none.
std::optional<std::string> run_of_folder(const std::filesystem::path& folder);

// Of steps behind `step`.
std::int64_t num_later_checkpoints(const std::filesystem::path& folder, std::int64_t step);

// Gives a whole checkpoint its name and makes it the latest; on the disk when it returns. The
// folder holds the old one or the new one at any time. RuntimeFailure when it cannot.
void publish_checkpoint(const std::filesystem::path& folder, std::int64_t step);
// Where it is written until then.
std::filesystem::path partial_checkpoint(const std::filesystem::path& folder, std::int64_t step);
// An empty folder there. RuntimeFailure when it cannot be made.
void make_partial_checkpoint(const std::filesystem::path& folder, std::int64_t step);

struct KeepOptions {
  // Newest checkpoints that stay; 0: all.
  std::int64_t last = 0;
  // Those of steps that this divides stay too; 0: none.
  std::int64_t every = 0;
};

// Removes what need not stay of the run's checkpoints up to `step`.
void prune_checkpoints(const std::filesystem::path& folder, std::int64_t step,
                       const KeepOptions& keep);

}  // namespace galvatron::train
