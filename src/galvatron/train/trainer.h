// The training loop of one rank: all ranks run it together on one Engine.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/data/sample_source.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/train/batch_ramp.h"
#include "galvatron/train/evaluation.h"
#include "galvatron/train/lr_schedule.h"
#include "galvatron/train/metrics.h"
#include "galvatron/train/read_ahead.h"
#include "galvatron/train/step_ranges.h"
#include "galvatron/train/train_state.h"

namespace galvatron::train {

struct TrainerOptions {
  // Optimizer steps of the whole run.
  std::int64_t num_steps = 100;
  LrScheduleOptions lr;
  spec::OptimizerChoice optimizer;
  DecayScheduleOptions weight_decay;      // from the optimizer's
  std::vector<std::string> param_groups;  // parse_param_group()
  std::vector<int> batch_rampup;          // BatchRamp's numbers
  // Gradients above this norm are scaled down to it; 0: never.
  double max_grad_norm = 1.0;
  LossScalerOptions loss_scaling;  // enabled for fp16 whatever this says
  // Steps in a row that may be left out because loss or gradients are not finite; in fp16 only
  // those at the smallest loss scale count. One more ends the run.
  std::int64_t max_bad_steps = 0;
  // Steps between evaluations on the validation samples, also after the last step; 0: none.
  std::int64_t eval_interval = 0;
  // Global batches of an evaluation; 0: all samples once.
  std::int64_t eval_batches = 4;
  // Steps that are recorded in engine.trace(); none: the last.
  StepRanges trace_steps;
  // FLOPs per second of one device, for metrics' mfu; 0: unknown.
  double peak_flops = 0;
  // Batches that were read ahead go to the device by the thread that reads them, beside compute.
  bool copy_ahead = true;
  // Asked in every step: whether this rank shall leave. When any rank says so, all stop after the
  // step under way, or after the next.
  std::function<bool()> wants_to_stop;
};

// Of a rank in a step: a backward is two forwards; what is computed again is not useful work.
double step_flops(const spec::ModelSpec& model, const plan::Plan& plan, std::int64_t seq_length);

// ConfigError where the options of a weight decay that changes do not fit together.
DecaySchedule decay_schedule(const TrainerOptions& options);

// Its state is what checkpoints take and give.
class Trainer : public TrainState {
 public:
  // Everything must outlive the trainer. `valid` and `test` may be null. Collective.
  Trainer(runtime::Engine& engine, const data::SampleSource& samples,
          const data::SampleSource* valid, const TrainerOptions& options,
          const data::SampleSource* test = nullptr);

  using OnStep = std::function<void(const StepRecord&)>;
  // Steps from steps_done() + 1 to the last, behind which all of `test` is evaluated, or until
  // stopped(); `on_step` hears of each, on every rank. A failure drops the groups, so that the
  // other ranks fail at once, and leaves as RuntimeFailure "step N: ...". Of the steps that are
  // traced on_step finds all so far in engine.trace().
  void run(const OnStep& on_step);
  // One step, without the care for failures.
  StepRecord step();
  // Of the first eval_batches batches of the validation samples, none of them twice. Collective.
  EvaluationSummary evaluate() { return train::evaluate(engine_, *valid_, options_.eval_batches); }

  // The last step that is traced.
  std::int64_t last_traced() const {
    return options_.trace_steps.empty() ? options_.num_steps : options_.trace_steps.last();
  }
  bool stopped() const { return stopped_; }  // before the last step, because a rank wanted to
  // Most memory that tensors took on this rank in any step so far.
  Bytes peak_memory() const { return peak_memory_; }

 private:
  bool traces(std::int64_t step) const {
    return options_.trace_steps.empty() ? step == options_.num_steps
                                        : options_.trace_steps.contains(step);
  }
  StepRecord traced_step();
  StepRecord step_of_batch();
  ReadAhead& reader();
  void update(StepRecord& record);
  void take_evaluation(StepRecord& record);
  void take_test(StepRecord& record);
  bool is_left_out(const StepRecord& record);
  std::optional<double> mfu(const StepRecord& record) const;

  runtime::Engine& engine_;
  const data::SampleSource& samples_;
  const data::SampleSource *valid_, *test_;
  TrainerOptions options_;
  LrSchedule lr_;
  DecaySchedule weight_decay_;
  BatchRamp batch_ramp_;
  std::optional<ReadAhead> reader_;  // from the first step on
  std::int64_t bad_steps_ = 0;       // in a row
  bool stop_is_due_ = false, stopped_ = false;
  Bytes peak_memory_;
};

}  // namespace galvatron::train
