// What changes from step to step of one rank beside the gradients: the optimizer and its states,
// the loss scale, and how far the run is. With the engine's weights it is what a checkpoint holds.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "galvatron/runtime/engine.h"
#include "galvatron/train/loss_scaler.h"
#include "galvatron/train/optimizers/optimizer.h"

namespace galvatron::train {

class TrainState {
 public:
  // `scaling` is enabled for fp16 whatever it says. The engine must outlive the state.
  TrainState(runtime::Engine& engine, const spec::OptimizerChoice& optimizer,
             LossScalerOptions scaling = {});

  Optimizer& optimizer() { return *optimizer_; }
  LossScaler& loss_scaler() { return scaler_; }
  std::int64_t steps_done() const { return steps_done_; }
  std::int64_t samples_consumed() const { return samples_consumed_; }
  void set_progress(std::int64_t steps_done, std::int64_t samples_consumed) {
    steps_done_ = steps_done;
    samples_consumed_ = samples_consumed;
  }

  // New weights out of the engine's gradients times `gradient_factor` (clipping and loss scale in
  // one). Collective.
  void update_weights(double learning_rate, double gradient_factor);
  // Called before weights and states change: somebody may still be reading them.
  void set_before_update(std::function<void()> hook) { before_update_ = std::move(hook); }

 private:
  runtime::Engine& engine_;
  std::unique_ptr<Optimizer> optimizer_;
  LossScaler scaler_;
  std::function<void()> before_update_;
  std::int64_t steps_done_ = 0, samples_consumed_ = 0;
};

}  // namespace galvatron::train
