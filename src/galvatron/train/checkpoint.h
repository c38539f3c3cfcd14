// A training run on disk, to be continued to the bit under the same plan, or under any other.
//
// FOLDER/step-000100/ holds
//   checkpoint.json     how far the run is: steps, samples, loss scale
//   state.safetensors   whole parameters, as no plan divides them: "weights/<name>" (master
//                       weights) and "<state>/<name>" for each state of the optimizer
// A checkpoint appears under its name when it is complete.
#pragma once
#include <filesystem>

#include "galvatron/runtime/engine.h"
#include "galvatron/train/trainer.h"

namespace galvatron::train {

// Writes FOLDER/step-N for N = trainer.steps_done(). Collective; rank 0 writes and holds one whole
// parameter at a time. RuntimeFailure when the disk is full.
void save_checkpoint(const std::filesystem::path& folder, runtime::Engine& engine, Trainer& trainer,
                     std::int64_t seq_length);

// `path` if it is a checkpoint, else the one of most steps in it. ConfigError when there is none.
std::filesystem::path find_checkpoint(const std::filesystem::path& path);

// ConfigError unless the checkpoint is whole and of this model, optimizer, sequence length and kind
// of precision (fp64 or not), and has steps left to do.
void check_checkpoint(const std::filesystem::path& checkpoint, const spec::ModelSpec& model,
                      const spec::JobSpec& job, std::int64_t num_steps);

// Master weights, optimizer states and progress; every rank reads what it owns. Collective.
// REQUIRES: check_checkpoint() passed.
void load_checkpoint(const std::filesystem::path& checkpoint, runtime::Engine& engine,
                     Trainer& trainer);

}  // namespace galvatron::train
