#include "galvatron/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/plan/traced_step.h"
#include "galvatron/runtime/memory_meter.h"
#include "galvatron/train/batch_input.h"
#include "galvatron/train/step_guard.h"

namespace galvatron::train {

double step_flops(const spec::ModelSpec& model, const plan::Plan& plan, std::int64_t seq_length) {
  return 3 * spec::forward_flops(model, seq_length) * static_cast<double>(plan.global_batch) /
         plan.world_size;
}

DecaySchedule decay_schedule(const TrainerOptions& options) {
  const double start = options.optimizer.find("weight_decay").value_or(0);
  return {options.weight_decay, start, options.num_steps};
}

Trainer::Trainer(runtime::Engine& engine, const data::SampleSource& samples,
                 const data::SampleSource* valid, const TrainerOptions& options,
                 const data::SampleSource* test)
    : TrainState(engine, options.optimizer, options.loss_scaling),
      engine_(engine),
      samples_(samples),
      valid_(valid),
      test_(test),
      options_(options),
      lr_(options.lr, options.num_steps),
      weight_decay_(decay_schedule(options)),
      batch_ramp_(options.batch_rampup, engine.plan().global_batch,
                  engine.plan().num_microbatches) {
  optimizer().set_groups({options.param_groups, engine.model()});
  GALV_CHECK(valid_ != nullptr || options_.eval_interval == 0,
             "evaluations need validation samples");
}

void Trainer::run(const OnStep& on_step) {
  while (steps_done() < options_.num_steps && !stopped_) {
    const std::int64_t number = steps_done() + 1;
    const bool last = number == options_.num_steps;
    const bool evaluates =
        options_.eval_interval > 0 && (last || number % options_.eval_interval == 0);
    engine_.trace().enable(traces(number), number);
    engine_.world().flight().set_step(number);
    guard_step(engine_.world(), number, [&] {
      StepRecord record = traced_step();
      engine_.trace().enable(false);
      if (evaluates) take_evaluation(record);
      if (last && test_ != nullptr) take_test(record);
      stopped_ = stop_is_due_ && !last;
      if (on_step) on_step(record);
    });
  }
}

StepRecord Trainer::traced_step() {
  const runtime::Trace::Scope scope(engine_.trace(), "step", plan::kWholeStep);
  return step();
}

// A batch that grows is the plan's only while its step runs: evaluations and checkpoints have that
// of the whole run.
StepRecord Trainer::step() {
  const std::int64_t global_batch = engine_.plan().global_batch;
  engine_.set_shape(batch_ramp_.at(samples_consumed()), engine_.seq_length());
  StepRecord record = step_of_batch();
  engine_.set_shape(global_batch, engine_.seq_length());
  return record;
}

StepRecord Trainer::step_of_batch() {
  const double started = now_seconds();
  const plan::Plan& plan = engine_.plan();
  runtime::MemoryMeter meter(engine_.world().device());
  meter.reset_peak();

  StepRecord record;
  record.lr = lr_.at(steps_done());
  ReadAhead& samples = reader();
  std::optional<runtime::Trace::Scope> waits(std::in_place, engine_.trace(), "wait for data",
                                             plan::kWaitInside, enum_text(plan::StepKind::kData));
  runtime::InputSource& batch = samples.batch(samples_consumed());
  waits.reset();
  // Without a label that counts there is nothing to learn, and no mean.
  record.skipped = batch.num_labels() == 0;
  if (!record.skipped) {
    engine_.run_step(batch, steps_done(), loss_scaler().scale());
    update(record);
  }
  if (record.skipped) record.samples = {samples_consumed(), samples_consumed() + plan.global_batch};

  record.step = steps_done() + 1;
  set_progress(record.step, samples_consumed() + plan.global_batch);
  record.tokens = plan.global_batch * samples_.seq_length();
  if (engine_.model().task == spec::Task::kImageClasses) record.images = plan.global_batch;
  record.memory = meter.peak();
  record.data_wait_seconds = samples.waited();
  record.seconds = now_seconds() - started;
  record.mfu = mfu(record);
  peak_memory_ = std::max(peak_memory_, record.memory);
  return record;
}

ReadAhead& Trainer::reader() {
  const std::int64_t batch = engine_.plan().global_batch;
  if (!reader_ || reader_->global_batch() != batch) {  // it may have grown
    const std::int64_t left = options_.num_steps - steps_done();
    const std::int64_t most =
        (std::numeric_limits<std::int64_t>::max() - samples_consumed()) / batch;
    reader_.emplace(samples_, batch, samples_consumed() + std::min(left, most) * batch,
                    options_.copy_ahead ? engine_.world().device() : c10::Device(c10::kCPU));
  }
  return *reader_;
}

bool Trainer::is_left_out(const StepRecord& record) {
  const bool was_smallest = loss_scaler().at_smallest();
  const bool overflowed = !loss_scaler().update(record.grad_norm);
  const bool finite = std::isfinite(record.loss) && std::isfinite(record.grad_norm);
  if (finite) bad_steps_ = 0;
  // A smaller scale may do.
  if (finite || (overflowed && !was_smallest)) return overflowed;
  if (++bad_steps_ > options_.max_bad_steps) {
    const std::string count = options_.max_bad_steps == 0
                                  ? ""
                                  : detail::concat("in ", bad_steps_, " steps in a row, and now ");
    throw RuntimeFailure(count, "the loss is ", record.loss, " and the norm of the gradients ",
                         record.grad_norm, "; lower --lr, or raise --warmup-steps");
  }
  return true;
}

void Trainer::update(StepRecord& record) {
  const double scale = loss_scaler().scale();
  optimizer().drop_frozen_gradients();
  {
    const runtime::Trace::Scope scope(engine_.trace(), "loss and gradient norm", "communication",
                                      enum_text(plan::StepKind::kOptimizer));
    const double vote = options_.wants_to_stop && options_.wants_to_stop() ? 1 : 0;
    const runtime::StepTotals totals = engine_.totals(vote);
    record.loss = totals.loss;
    record.grad_norm = totals.gradient_norm / scale;
    stop_is_due_ = totals.votes > 0;
  }
  record.skipped = is_left_out(record);
  if (record.skipped) return;
  if (!weight_decay_.is_constant())
    optimizer().set_option("weight_decay", weight_decay_.at(steps_done()));
  update_weights(record.lr, clip_factor(record.grad_norm, options_.max_grad_norm) / scale);
}

void Trainer::take_evaluation(StepRecord& record) {
  const EvaluationSummary found = evaluate();
  record.valid_loss = found.loss;
  record.valid_perplexity = found.perplexity;
  record.valid_accuracy = found.accuracy;
}

void Trainer::take_test(StepRecord& record) {
  const EvaluationSummary found = train::evaluate(engine_, *test_, /*num_batches=*/0);
  record.test_loss = found.loss;
  record.test_perplexity = found.perplexity;
  record.test_accuracy = found.accuracy;
}

std::optional<double> Trainer::mfu(const StepRecord& record) const {
  if (options_.peak_flops <= 0) return std::nullopt;
  return step_flops(engine_.model(), engine_.plan(), samples_.seq_length()) /
         (record.seconds * options_.peak_flops);
}

}  // namespace galvatron::train
