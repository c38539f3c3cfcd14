// One rank of a training whose loop is somebody else's, such as PyTorch Lightning's: forward and
// backward of a batch, evaluation, logits, updates, checkpoints and whole weights, each when it is
// asked for. All members are collective unless they say otherwise.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "galvatron/comm/flight_recorder.h"
#include "galvatron/comm/world.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/train/checkpoint.h"
#include "galvatron/train/gathered_batch.h"
#include "galvatron/train/train_state.h"
#include "galvatron/train/weights.h"

namespace galvatron::train {

// Whole tensors as Hugging Face names and shapes them.
using NamedTensors = std::map<std::string, at::Tensor>;

class StepRunner {
 public:
  // ConfigError unless the plan passes check_plan() for the model and the world, which must outlive
  // the runner.
  StepRunner(const spec::ModelSpec& model, const plan::Plan& plan, comm::World& world,
             const runtime::EngineOptions& options);
  ~StepRunner();
  StepRunner(const StepRunner&) = delete;
  StepRunner& operator=(const StepRunner&) = delete;

  // --- not collective ---
  const plan::Plan& plan() const { return engine_->plan(); }
  int rank() const { return world_.rank(); }
  BatchParts parts() const { return BatchParts(plan()); }
  bool has_optimizer() const { return state_.has_value(); }
  std::int64_t steps_done() const { return state_ ? state_->steps_done() : 0; }
  // The peers fail at once instead of waiting for this rank.
  void abort(const std::string& why);

  // --- a step ---
  // Mean loss over the labels of all parts; gradients are left for update(). Batches and sequences
  // may be of any size that the plan can take (ConfigError). REQUIRES: an optimizer.
  double forward_backward(const BatchPart& mine);
  // Norm of the gradients of the loss as they stand, after what was done to them.
  double gradient_norm();
  void scale_gradients(double factor);  // not collective
  void clip_norm(double max_norm);      // as torch.nn.utils.clip_grad_norm_
  void clip_values(double limit);       // as clip_grad_value_
  // New weights. False: loss or gradients are not finite and everything stays as it is.
  bool update(double learning_rate);

  // --- without gradients and dropout ---
  runtime::Scores evaluate(const BatchPart& mine);
  // Of the samples that this rank has read. Ranks without a sample take part with an empty `mine`;
  // undefined where no rank has one.
  at::Tensor logits(const BatchPart& mine);

  // --- the optimizer; its states begin as zeros ---
  void set_optimizer(const spec::OptimizerChoice& choice);
  Optimizer& optimizer();  // not collective

  // --- weights and states ---
  // Returns what is to be said of a head that stays as it is (new_head_note).
  std::string load_weights(const std::filesystem::path& folder);
  void export_weights(const std::filesystem::path& folder, const ExportOptions& options);
  // `part`: "weights" or a state of the optimizer. On rank 0, nothing elsewhere.
  NamedTensors whole_tensors(const std::string& part);
  // Every rank gives all tensors, by their first names.
  void assign(const std::string& part, const HfTensorSource& tensor);
  void set_progress(std::int64_t steps_done, std::int64_t optimizer_steps);  // not collective
  // A checkpoint FOLDER/step-N; returns its path.
  std::filesystem::path save_checkpoint(const std::filesystem::path& folder,
                                        const CheckpointFacts& facts);
  // Of any plan and any length of sequences. ConfigError where it is of another model or, unless
  // `weights_only`, optimizer. DamagedCheckpoint where bytes were changed: the engine then holds
  // anything.
  void load_checkpoint(const std::filesystem::path& checkpoint, bool weights_only);

 private:
  // Whoever has the loop may take his time between two calls: as long as files may take.
  class Inside;
  void guarded(const std::function<void()>& body);
  OwnedTensor owned(const std::string& part);
  void set_shape(const GatheredBatch& batch);
  TrainState& state();

  comm::World& world_;
  std::unique_ptr<runtime::Engine> engine_;
  std::optional<TrainState> state_;
  std::optional<comm::FlightRecorder::Scope> outside_;
  double loss_ = 0;
  double gradient_factor_ = 1;           // to come, beside the loss scale
  std::optional<double> gradient_norm_;  // without gradient_factor_
  std::int64_t samples_of_step_ = 0;     // of the gradients that wait for update()
};

}  // namespace galvatron::train
