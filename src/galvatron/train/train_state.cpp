#include "galvatron/train/train_state.h"

namespace galvatron::train {
namespace {

LossScalerOptions scaling_of(const plan::Plan& plan, LossScalerOptions options) {
  options.enabled = plan.precision == spec::Precision::kFp16;
  return options;
}

}  // namespace

TrainState::TrainState(runtime::Engine& engine, const spec::OptimizerChoice& optimizer,
                       LossScalerOptions scaling)
    : engine_(engine),
      optimizer_(make_optimizer(engine.units(), optimizer)),
      scaler_(scaling_of(engine.plan(), scaling)) {}

void TrainState::update_weights(double learning_rate, double gradient_factor) {
  if (before_update_) before_update_();
  {
    const runtime::Trace::Scope scope(engine_.trace(), "optimizer", "optimizer");
    optimizer_->step(learning_rate, gradient_factor);
  }
  const runtime::Trace::Scope scope(engine_.trace(), "publish weights", "communication",
                                    enum_text(plan::StepKind::kParameters));
  engine_.publish();
}

}  // namespace galvatron::train
