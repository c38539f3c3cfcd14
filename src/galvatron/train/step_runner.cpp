#include "galvatron/train/step_runner.h"

#include <cmath>
#include <limits>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/hf_weights.h"
#include "galvatron/models/registry.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/train/step_guard.h"
#include "galvatron/train/weights_reading.h"

namespace galvatron::train {
namespace {

constexpr const char* kOutside = "what the caller does between two steps";
constexpr const char* kWeights = "weights";

std::vector<plan::RankSet> reader_sets(const plan::Plan& plan) {
  const BatchParts parts(plan);
  std::vector<plan::RankSet> out;
  for (int rank = 0; rank < plan.world_size; ++rank) out.push_back(parts.readers(rank));
  return out;
}

// Logits [samples, tokens, vocabulary] of the tokens that a rank has read itself.
at::Tensor without_padding(const at::Tensor& logits, const BatchPart& mine) {
  for (const auto kind : {spec::InputKind::kTargetTokens, spec::InputKind::kTokens}) {
    if (mine.contains(kind)) return logits.narrow(1, 0, mine.at(kind).size(1));
  }
  return logits;
}

void require_labels(GatheredBatch& batch) {
  if (batch.num_labels() == 0)
    throw ConfigError("[data] no label of the batch counts: all are -100, or there is no sample");
}

}  // namespace

class StepRunner::Inside {
 public:
  explicit Inside(StepRunner& runner) : runner_(runner) { runner_.outside_.reset(); }
  ~Inside() {
    comm::FlightEntry entry;
    entry.kind = kOutside;
    runner_.outside_.emplace(runner_.world_.flight(), entry, /*on_files=*/true);
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  StepRunner& runner_;
};

StepRunner::StepRunner(const spec::ModelSpec& model, const plan::Plan& plan, comm::World& world,
                       const runtime::EngineOptions& options)
    : world_(world) {
  plan::require_valid_plan(plan, model, {world_.size(), options.seq_length});
  const Inside inside(*this);
  world_.create_groups(reader_sets(plan));
  engine_ = std::make_unique<runtime::Engine>(model, plan, world_, models::make_layer, options);
}

StepRunner::~StepRunner() { outside_.reset(); }

void StepRunner::abort(const std::string& why) { world_.abort(why); }

// What is wrong with the input every rank finds out by itself, before anything is under way.
void StepRunner::guarded(const std::function<void()>& body) {
  guard_step(world_, steps_done() + 1, body);
}

TrainState& StepRunner::state() {
  GALV_CHECK(state_.has_value(), "no optimizer was set");
  return *state_;
}

Optimizer& StepRunner::optimizer() { return state().optimizer(); }

void StepRunner::set_shape(const GatheredBatch& batch) {
  plan::Plan plan = engine_->plan();
  plan.global_batch = batch.global_batch();
  const std::int64_t seq_length = engine_->model().fixed_seq_length > 0
                                      ? engine_->model().fixed_seq_length
                                      : batch.seq_length();
  plan::require_valid_plan(plan, engine_->model(), {world_.size(), seq_length});
  engine_->set_shape(plan.global_batch, seq_length);
}

double StepRunner::forward_backward(const BatchPart& mine) {
  const Inside inside(*this);
  world_.flight().set_step(steps_done() + 1);
  GatheredBatch batch(engine_->model(), plan(), world_, mine, /*answers=*/true);
  require_labels(batch);
  set_shape(batch);
  gradient_factor_ = 1;
  gradient_norm_.reset();
  samples_of_step_ = batch.num_samples();
  guarded([&] {
    const double scale = state().loss_scaler().scale();
    engine_->run_step(batch, steps_done(), scale);
    const runtime::StepTotals totals = engine_->totals();
    loss_ = totals.loss;
    gradient_norm_ = totals.gradient_norm / scale;
  });
  return loss_;
}

double StepRunner::gradient_norm() {
  const Inside inside(*this);
  if (!gradient_norm_)
    guarded([&] { gradient_norm_ = engine_->gradient_norm() / state().loss_scaler().scale(); });
  return *gradient_norm_ * std::abs(gradient_factor_);
}

void StepRunner::scale_gradients(double factor) { gradient_factor_ *= factor; }

void StepRunner::clip_norm(double max_norm) {
  scale_gradients(clip_factor(gradient_norm(), max_norm));
}

void StepRunner::clip_values(double limit) {
  const at::NoGradGuard no_grad;
  const double bound = limit * state().loss_scaler().scale();
  for (runtime::ParamUnit* unit : engine_->units())
    unit->gradient().mul_(gradient_factor_).clamp_(-bound, bound);
  gradient_factor_ = 1;
  gradient_norm_.reset();
}

bool StepRunner::update(double learning_rate) {
  const double norm = gradient_norm();
  const Inside inside(*this);
  TrainState& state = this->state();
  const double scale = state.loss_scaler().scale();
  const bool overflowed = !state.loss_scaler().update(norm);
  const bool finite = std::isfinite(loss_) && std::isfinite(norm);
  if (finite && !overflowed)
    guarded([&] { state.update_weights(learning_rate, gradient_factor_ / scale); });
  state.set_progress(state.steps_done() + 1, state.samples_consumed() + samples_of_step_);
  return finite && !overflowed;
}

runtime::Scores StepRunner::evaluate(const BatchPart& mine) {
  const Inside inside(*this);
  GatheredBatch batch(engine_->model(), plan(), world_, mine, /*answers=*/true);
  require_labels(batch);
  set_shape(batch);
  runtime::Scores scores;
  guarded([&] { scores = engine_->evaluate(batch); });
  return scores;
}

at::Tensor StepRunner::logits(const BatchPart& mine) {
  const Inside inside(*this);
  GatheredBatch batch(engine_->model(), plan(), world_, mine, /*answers=*/false);
  if (batch.empty()) return {};
  set_shape(batch);
  at::Tensor out;
  guarded([&] { out = engine_->logits(batch, batch.places()); });
  return without_padding(out, mine);
}

void StepRunner::set_optimizer(const spec::OptimizerChoice& choice) {
  state_.emplace(*engine_, choice);
}

std::string StepRunner::load_weights(const std::filesystem::path& folder) {
  const Inside inside(*this);
  const auto scope = comm::FlightRecorder::files(world_.flight(), "reading the first weights");
  const std::string new_head = new_head_note(train::load_weights(*engine_, folder), folder);
  const std::string left_out = left_out_note(engine_->model(), folder);
  return new_head + (new_head.empty() || left_out.empty() ? "" : "; ") + left_out;
}

void StepRunner::export_weights(const std::filesystem::path& folder, const ExportOptions& options) {
  const Inside inside(*this);
  const auto scope = comm::FlightRecorder::files(world_.flight(), "exporting weights");
  train::export_weights(*engine_, folder, options);
}

OwnedTensor StepRunner::owned(const std::string& part) {
  if (part == kWeights) return [](runtime::ParamUnit& unit) { return unit.master(); };
  return [this, part](runtime::ParamUnit& unit) { return optimizer().state(unit, part); };
}

NamedTensors StepRunner::whole_tensors(const std::string& part) {
  const Inside inside(*this);
  const auto scope = comm::FlightRecorder::files(world_.flight(), "gathering whole tensors");
  NamedTensors out;
  for_each_whole_parameter(
      *engine_, owned(part), [&](int layer, const spec::ParamSpec& param, const at::Tensor& whole) {
        for (const models::HfTensor& tensor : models::hf_tensors(engine_->model(), layer, param))
          out[tensor.names[0]] =
              models::to_hf(tensor, param, whole).clone(at::MemoryFormat::Contiguous);
      });
  return out;
}

void StepRunner::assign(const std::string& part, const HfTensorSource& tensor) {
  const Inside inside(*this);
  const auto scope = comm::FlightRecorder::files(world_.flight(), "reading whole tensors");
  assign_tensors(*engine_, tensor, owned(part));
  if (part == kWeights) engine_->publish();
}

void StepRunner::set_progress(std::int64_t steps_done, std::int64_t optimizer_steps) {
  state().set_progress(steps_done, state().samples_consumed());
  state().optimizer().set_num_steps(optimizer_steps);
}

std::filesystem::path StepRunner::save_checkpoint(const std::filesystem::path& folder,
                                                  const CheckpointFacts& facts) {
  const Inside inside(*this);
  const auto scope = comm::FlightRecorder::files(world_.flight(), "saving a checkpoint");
  CheckpointFacts full = facts;
  full.seq_length = engine_->seq_length();
  train::save_checkpoint(folder, *engine_, state(), full);
  return folder / step_folder(steps_done());
}

void StepRunner::load_checkpoint(const std::filesystem::path& checkpoint, bool weights_only) {
  const Inside inside(*this);
  const auto scope = comm::FlightRecorder::files(world_.flight(), "reading the checkpoint");
  spec::JobSpec job;
  job.precision = plan().precision;
  if (!weights_only) job.optimizer = &optimizer().spec();
  all_or_none(world_, [&] {
    job.seq_length = read_index(checkpoint).seq_length;
    check_checkpoint(checkpoint, engine_->model(), job, std::numeric_limits<std::int64_t>::max(),
                     weights_only);
  });
  if (weights_only) return load_checkpoint_weights(checkpoint, *engine_);
  train::load_checkpoint(checkpoint, *engine_, state());
}

}  // namespace galvatron::train
