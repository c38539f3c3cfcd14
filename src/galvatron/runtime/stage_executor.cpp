#include "galvatron/runtime/stage_executor.h"

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/runtime/layer_call.h"
#include "galvatron/runtime/redistribute.h"
#include "galvatron/runtime/unit_builder.h"

namespace galvatron::runtime {
namespace {

using plan::Action;
using plan::Step;

bool is_receive(const Step& step) { return step.action == Action::kRecvActivation || step.action == Action::kRecvGradient; }
bool is_compute(const Step& step) { return step.action == Action::kForward || step.action == Action::kBackward; }

constexpr int kMaxStreams = 4;

// One tag per microbatch, direction and stream.
int tag_of(const Step& step, std::size_t stream) {
  const bool forward = step.action == Action::kRecvActivation || step.action == Action::kSendActivation;
  return (step.microbatch * 2 + (forward ? 0 : 1)) * kMaxStreams + static_cast<int>(stream);
}

}  // namespace

StageExecutor::StageExecutor(const spec::ModelSpec& model, const plan::Plan& plan, const comm::World& world,
                             std::int64_t seq_length, std::vector<std::unique_ptr<LayerRunner>> runners, Trace& trace)
    : model_(model),
      plan_(plan),
      trace_(trace),
      seq_length_(seq_length),
      ranks_per_stage_(plan.ranks_per_stage()),
      stage_(world.rank() / ranks_per_stage_),
      rank_in_stage_(world.rank() % ranks_per_stage_),
      device_(world.device()),
      layers_(plan.layers_of_stage(stage_)),
      runners_(std::move(runners)) {
  const int rank = world.rank();
  stage_group_ = world.group(plan::stage_ranks(stage_, ranks_per_stage_));
  if (stage_ > 0) previous_ = world.group({rank - ranks_per_stage_, rank});
  if (stage_ + 1 < plan.pipeline.degree) next_ = world.group({rank, rank + ranks_per_stage_});
}

void StageExecutor::run(InputSource& input, std::int64_t step, double loss_scale) {
  const auto compute = plan::make_schedule(plan_.pipeline.schedule, stage_, plan_.pipeline.degree, plan_.num_microbatches);
  const StepContext context{&input, step * plan_.global_batch, loss_scale};
  run_steps(plan::add_transfers(compute, stage_, plan_.pipeline.degree), context);
}

void StageExecutor::evaluate(InputSource& input) {
  std::vector<Step> compute;
  for (int m = 0; m < plan_.num_microbatches; ++m) compute.push_back({Action::kForward, m});
  StepContext context{&input};
  context.training = false;
  run_steps(plan::add_transfers(compute, stage_, plan_.pipeline.degree), context);
}

at::Tensor StageExecutor::logits(InputSource& input) {
  StepContext context{&input};
  context.training = false;
  context.logits = true;
  run_steps({{Action::kForward, 0}}, context);
  return std::move(logits_);
}

double StageExecutor::take_loss_sum() {
  LayerRunner& last = *runners_.back();
  if (!last.computes_loss()) return 0;
  const double sum = last.take_loss_sum();
  last.start_step();
  return last.loss_counts() ? sum : 0;
}

void StageExecutor::run_steps(const std::vector<Step>& steps, const StepContext& context) {
  int backwards_left = 0;
  for (const Step& step : steps) backwards_left += step.action == Action::kBackward ? 1 : 0;
  post_receives(steps, 0);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    if (is_compute(step)) {
      // What the next compute step needs travels while this one runs.
      post_receives(steps, i + 1);
      if (step.action == Action::kForward) {
        forward(step.microbatch, context);
      } else {
        backward(step.microbatch, --backwards_left == 0, context);
      }
      prefetch_for_next(steps, i);
    } else if (!is_receive(step)) {
      send(step);
    }
  }
  const Trace::Scope scope(trace_, "finish sends", "communication");
  for (comm::Pending& pending : sending_) pending.wait();
  sending_.clear();
  GALV_CHECK(receiving_.empty() && outgoing_.empty(), "transfers left over after a step");
}

void StageExecutor::post_receives(const std::vector<Step>& steps, std::size_t from) {
  for (std::size_t i = from; i < steps.size() && !is_compute(steps[i]); ++i) {
    if (is_receive(steps[i])) post_receive(steps[i]);
  }
}

void StageExecutor::post_receive(const Step& step) {
  const auto key = std::pair(step.action, step.microbatch);
  if (receiving_.contains(key)) return;
  const bool forward = step.action == Action::kRecvActivation;
  // A border tensor has the layout of the layer that makes it.
  const int border = forward ? first_layer() - 1 : last_layer();
  const std::int64_t samples = plan_.samples_of_microbatch(step.microbatch).size();
  Transfer transfer;
  for (const spec::StreamSpec& stream : model_.layers[static_cast<std::size_t>(border)].outputs) {
    const plan::TokenRect rect =
        plan::token_rect(layout(border), rank_in_stage_, samples, stream.length(seq_length_));
    at::Tensor tensor = at::empty({rect.samples.size(), rect.tokens.size(), stream.width},
                                  at::TensorOptions().dtype(compute_scalar_type(plan_.precision)).device(device_));
    if (tensor.numel() > 0) {
      const int tag = tag_of(step, transfer.streams.size());
      transfer.pending.push_back((forward ? previous_ : next_).receive(tensor, forward ? 0 : 1, tag));
    }
    transfer.streams.push_back(std::move(tensor));
  }
  receiving_.emplace(key, std::move(transfer));
}

nn::Activations StageExecutor::received(const Step& step) {
  const auto found = receiving_.find({step.action, step.microbatch});
  GALV_CHECK(found != receiving_.end(), "no transfer was posted for microbatch ", step.microbatch);
  const Trace::Scope scope(trace_, step.action == Action::kRecvActivation ? "wait for activation" : "wait for gradient",
                           "communication");
  for (comm::Pending& pending : found->second.pending) pending.wait();
  nn::Activations out = std::move(found->second.streams);
  receiving_.erase(found);
  return out;
}

void StageExecutor::send(const Step& step) {
  const auto found = outgoing_.find({step.action, step.microbatch});
  GALV_CHECK(found != outgoing_.end(), "nothing to send for microbatch ", step.microbatch);
  const bool forward = step.action == Action::kSendActivation;
  for (std::size_t i = 0; i < found->second.size(); ++i) {
    const at::Tensor& tensor = found->second[i];
    if (tensor.numel() == 0) continue;
    sending_.push_back((forward ? next_ : previous_).send(tensor.contiguous(), forward ? 1 : 0, tag_of(step, i)));
  }
  outgoing_.erase(found);
}

nn::LayerCall StageExecutor::make_call(int layer, int microbatch, const StepContext& context) {
  const Range samples = plan_.samples_of_microbatch(microbatch);
  const Range mine = plan::token_rect(layout(layer), rank_in_stage_, samples.size(), seq_length_).samples;
  nn::LayerCall call;
  call.first_sample = context.first_sample + samples.begin + mine.begin;
  call.num_samples = mine.size();
  set_sequences(call, model_, layer, [&](const spec::StreamSpec& stream) {
    return sequence_split(strategy(layer), ranks_per_stage_, rank_in_stage_, stream.length(seq_length_));
  });
  call.training = context.training;
  call.logits = context.logits;
  add_inputs(call, layer, context);
  return call;
}

void StageExecutor::add_inputs(nn::LayerCall& call, int layer, const StepContext& context) {
  const std::int64_t first = call.first_sample - context.first_sample;  // within the global batch
  const Range samples{first, first + call.num_samples};
  for (const spec::InputKind kind : model_.layers[static_cast<std::size_t>(layer)].inputs) {
    at::Tensor& slot = input_slot(call.inputs, kind);
    slot = context.input->fetch(kind, samples, call.sequence.block_tokens).to(device_, /*non_blocking=*/true);
    if (kind == spec::InputKind::kImages) slot = slot.to(compute_scalar_type(plan_.precision));
  }
}

// `x` are the streams between `border` and the layer after it.
nn::Activations StageExecutor::to_layout(const nn::Activations& x, int border, int from_layer, int to_layer,
                                         int microbatch) {
  const std::int64_t num_samples = plan_.samples_of_microbatch(microbatch).size();
  const std::vector<spec::StreamSpec>& streams = model_.layers[static_cast<std::size_t>(border)].outputs;
  GALV_CHECK(x.size() == streams.size(), x.size(), " streams behind ", model_.layers[static_cast<std::size_t>(border)].name,
             ", which makes ", streams.size());
  nn::Activations out;
  for (std::size_t i = 0; i < x.size(); ++i) {
    out.push_back(redistribute(x[i], layout(from_layer), layout(to_layer), num_samples, streams[i].length(seq_length_),
                               stage_group_));
  }
  return out;
}

void StageExecutor::forward(int microbatch, const StepContext& context) {
  nn::Activations x;
  if (stage_ > 0) x = received({Action::kRecvActivation, microbatch});
  const Trace::Scope scope(trace_, "F" + std::to_string(microbatch), "forward");
  for (int layer = first_layer(); layer <= last_layer(); ++layer) {
    const nn::LayerCall call = make_call(layer, microbatch, context);
    if (layer > 0) x = to_layout(x, layer - 1, layer - 1, layer, microbatch);
    if (layer < last_layer()) {
      runner(layer).prefetch();
      runner(layer + 1).prefetch();
    }
    x = context.training ? runner(layer).forward(microbatch, x, call) : runner(layer).evaluate(x, call);
  }
  if (stage_ + 1 < plan_.pipeline.degree) {
    outgoing_[{Action::kSendActivation, microbatch}] = std::move(x);
  } else if (context.logits) {
    logits_ = x[0];
  }
}

void StageExecutor::backward(int microbatch, bool last, const StepContext& context) {
  nn::Activations grad;
  if (stage_ + 1 < plan_.pipeline.degree) grad = received({Action::kRecvGradient, microbatch});
  const Trace::Scope scope(trace_, "B" + std::to_string(microbatch), "backward");
  for (int layer = last_layer(); layer >= first_layer(); --layer) {
    if (layer > first_layer()) {
      runner(layer).prefetch();
      runner(layer - 1).prefetch();
    }
    grad = runner(layer).backward(microbatch, grad, last, context.loss_scale);
    // At most one layer's reduction is under way behind the one that computes.
    if (layer < last_layer()) runner(layer + 1).finish_reductions();
    if (layer > 0) grad = to_layout(grad, layer - 1, layer, layer - 1, microbatch);
  }
  runner(first_layer()).finish_reductions();
  if (stage_ > 0) outgoing_[{Action::kSendGradient, microbatch}] = std::move(grad);
}

void StageExecutor::prefetch_for_next(const std::vector<Step>& steps, std::size_t current) {
  for (std::size_t i = current + 1; i < steps.size(); ++i) {
    if (!is_compute(steps[i])) continue;
    runner(steps[i].action == Action::kForward ? first_layer() : last_layer()).prefetch();
    return;
  }
}

}  // namespace galvatron::runtime
