// A training run on disk, to be continued to the bit under the same plan, or under any other.
//
// FOLDER/step-000100/ (checkpoint_folder.h) holds
//   checkpoint.json                      what of, how far, and the checksums (checkpoint_index.h)
//   state-00000-of-00004.safetensors ... what each rank wrote (checkpoint_files.h): together every
//                                        element of the master weights and the optimizer's states
//                                        once
// It appears under its name when it is complete and on the disk. All ranks write and read at the
// same time, into one folder that all of them see.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "galvatron/runtime/engine.h"
#include "galvatron/train/checkpoint_files.h"
#include "galvatron/train/checkpoint_folder.h"
#include "galvatron/train/checkpoint_index.h"
#include "galvatron/train/run_summary.h"
#include "galvatron/train/train_state.h"

namespace galvatron::train {

// What a checkpoint says of its run beside its progress.
struct CheckpointFacts {
  std::string run;  // its id
  std::int64_t seq_length = 0;
  OrderedJson options = OrderedJson::object();  // CheckpointIndex has their meaning
  OrderedJson data = OrderedJson::object();
  KeepOptions keep = {};
  // Of the data, behind so many samples: CheckpointIndex::samples_state. Rank 0 is asked.
  std::function<std::string(std::int64_t)> samples_state = {};
};

// A disk that is full, read-only or gone, of any rank: nothing was changed in the folder.
class CheckpointNotWritten : public RuntimeFailure {
 public:
  CheckpointNotWritten(std::int64_t step, const std::string& what)
      : RuntimeFailure("the checkpoint of step ", step, " was not written: ", what) {}
};

// Writes the checkpoints of a run, one at a time. All members are collective.
class CheckpointWriter {
 public:
  // Everything must outlive the writer. `in_background`: training goes on at once. Each rank makes
  // a copy, in its host's memory, of what it writes, while the next step computes: weights and
  // states change at its end (TrainState::set_before_update).
  CheckpointWriter(std::filesystem::path folder, runtime::Engine& engine, TrainState& state,
                   CheckpointFacts facts, bool in_background = false);
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // FOLDER/step-N for N = state.steps_done(), when the one before is there.
  // CheckpointNotWritten, on every rank, when some rank cannot write: now, or where it is in the
  // background by one of the next calls.
  void save();
  // Of the one that is being written: what can be done without waiting.
  void look_after();
  // Waits for it, behind the last step.
  void finish();

  const SaveFigures& figures() const { return figures_; }
  const std::filesystem::path& newest() const { return newest_; }  // that is there; empty: none

 private:
  struct Work;  // the one that is being written
  void start();
  void take_pieces();
  void wait_for_copy();
  void collect_files();
  void end();
  // Runs `body` on every rank; where it fails on any, the work is given up on all.
  void together(const std::function<void()>& body);
  bool is_first() const { return engine_.world().rank() == 0; }

  std::filesystem::path folder_, newest_;
  runtime::Engine& engine_;
  TrainState& state_;
  CheckpointFacts facts_;
  bool in_background_;
  std::vector<StatePiece> copies_;  // kept from one save to the next
  std::unique_ptr<Work> work_;
  SaveFigures figures_;
};

// One checkpoint.
void save_checkpoint(const std::filesystem::path& folder, runtime::Engine& engine,
                     TrainState& state, const CheckpointFacts& facts);

// ConfigError unless the checkpoint is of this model, optimizer, sequence length and kind of
// precision (fp64 or not), and has steps left to do; DamagedCheckpoint unless it is whole, as far
// as can be seen without reading all of it. `weights_only`: the model and the precision alone.
void check_checkpoint(const std::filesystem::path& checkpoint, const spec::ModelSpec& model,
                      const spec::JobSpec& job, std::int64_t num_steps, bool weights_only = false);

// Master weights, optimizer states and progress, or the weights alone; every rank reads and
// verifies what it owns. Collective. DamagedCheckpoint, on every rank, where bytes were changed:
// the engine then holds anything, and another checkpoint may be loaded. REQUIRES:
// check_checkpoint() passed.
void load_checkpoint(const std::filesystem::path& checkpoint, runtime::Engine& engine,
                     TrainState& state, bool weights_only = false);
// The weights alone, where nothing is trained.
void load_checkpoint_weights(const std::filesystem::path& checkpoint, runtime::Engine& engine);

}  // namespace galvatron::train
