#include "galvatron/runtime/stage_executor.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/runtime/layer_call.h"
#include "galvatron/runtime/redistribute.h"
#include "galvatron/runtime/unit_builder.h"

namespace galvatron::runtime {
namespace {

using plan::Action;
using plan::Step;

bool is_receive(const Step& step) {
  return step.action == Action::kRecvActivation || step.action == Action::kRecvGradient;
}
bool is_compute(const Step& step) {
  return step.action == Action::kForward || step.action == Action::kBackward;
}

constexpr int kMaxStreams = 4;

int other(const comm::Group& pair) { return 1 - pair.rank(); }

// One tag per microbatch, receiving chunk, stream and kind. The kind is the lowest bit: activations
// and gradients between two ranks overtake each other (Group::send).
int tag_of(const plan::Plan& plan, const Step& step, int receiving_stage, std::size_t stream) {
  const bool forward =
      step.action == Action::kRecvActivation || step.action == Action::kSendActivation;
  const int chunk = receiving_stage / plan.pipeline.degree;
  const int message = step.microbatch * plan.pipeline.stages_per_rank() + chunk;
  return (message * kMaxStreams + static_cast<int>(stream)) * 2 + (forward ? 0 : 1);
}

// The pair of a rank and its like `step` pipeline ranks on; a group of one where there is none.
comm::Group pair_group(const plan::Plan& plan, const comm::World& world, int step) {
  const int neighbour = neighbour_rank(plan, world.rank(), step);
  if (neighbour < 0) return {};
  return world.group({std::min(world.rank(), neighbour), std::max(world.rank(), neighbour)});
}

}  // namespace

StageExecutor::StageExecutor(const spec::ModelSpec& model, const plan::Plan& plan,
                             const comm::World& world, std::int64_t seq_length,
                             std::vector<std::unique_ptr<LayerRunner>> runners, Trace& trace)
    : model_(model),
      plan_(plan),
      trace_(trace),
      seq_length_(seq_length),
      pp_rank_(plan.pp_rank_of(world.rank())),
      rank_in_stage_(world.rank() % plan.ranks_per_stage()),
      device_(world.device()),
      runners_(std::move(runners)),
      runner_of_layer_(static_cast<std::size_t>(model.num_layers()), nullptr) {
  auto runner = runners_.begin();
  for (const int stage : plan.pipeline.stages_of_rank(pp_rank_)) {
    layers_.push_back(plan.layers_of_stage(stage));
    for (std::int64_t i = layers_.back().begin; i < layers_.back().end; ++i, ++runner) {
      runner_of_layer_[static_cast<std::size_t>(i)] = runner->get();
    }
  }
  stage_group_ = world.group(plan.stage_ranks(pp_rank_));
  previous_ = pair_group(plan, world, -1);
  next_ = pair_group(plan, world, 1);
}

std::vector<Step> StageExecutor::compute_steps() const {
  const plan::Pipeline& pipeline = plan_.pipeline;
  return plan::make_schedule(pipeline.schedule, pp_rank_, pipeline.degree, plan_.num_microbatches,
                             pipeline.stages_per_rank());
}

void StageExecutor::run(InputSource& input, std::int64_t step, double loss_scale) {
  run_steps(compute_steps(), {&input, step * plan_.global_batch, loss_scale});
}

void StageExecutor::evaluate(InputSource& input) {
  std::vector<Step> compute = compute_steps();
  std::erase_if(compute, [](const Step& step) { return step.action != Action::kForward; });
  StepContext context{&input};
  context.training = false;
  run_steps(compute, context);
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

void StageExecutor::run_steps(const std::vector<Step>& compute, const StepContext& context) {
  const int stages_per_rank = static_cast<int>(layers_.size());
  const std::vector<Step> steps =
      plan::add_transfers(compute, pp_rank_, plan_.pipeline.degree, stages_per_rank);
  std::vector<int> backwards_left(layers_.size(),
                                  0);  // a chunk's gradients are whole after its own last one
  for (const Step& step : steps) {
    if (step.action == Action::kBackward) ++backwards_left[static_cast<std::size_t>(step.chunk)];
  }
  post_receives(steps, 0);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    if (is_compute(step)) {
      // What the next compute step needs travels while this one runs.
      post_receives(steps, i + 1);
      if (step.action == Action::kForward) {
        forward(step, context);
      } else {
        backward(step, --backwards_left[static_cast<std::size_t>(step.chunk)] == 0, context);
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
  const TransferKey key = key_of(step);
  if (receiving_.contains(key)) return;
  const bool forward = step.action == Action::kRecvActivation;
  // A border tensor has the layout of the layer that makes it.
  const int border = forward ? first_layer(step) - 1 : last_layer(step);
  const std::int64_t samples = plan_.samples_of_microbatch(step.microbatch).size();
  Transfer transfer;
  for (const spec::StreamSpec& stream : model_.layer(border).outputs) {
    const plan::TokenRect rect =
        layout(border).rect(rank_in_stage_, samples, stream.length(seq_length_));
    at::Tensor tensor =
        at::empty({rect.samples.size(), rect.tokens.size(), stream.width},
                  at::TensorOptions().dtype(compute_scalar_type(plan_.precision)).device(device_));
    if (tensor.numel() > 0) {
      const comm::Group& pair = forward ? previous_ : next_;
      const int tag = tag_of(plan_, step, stage(step), transfer.streams.size());
      transfer.pending.push_back(pair.receive(tensor, other(pair), tag));
    }
    transfer.streams.push_back(std::move(tensor));
  }
  receiving_.emplace(key, std::move(transfer));
}

nn::Activations StageExecutor::received(const Step& step) {
  const auto found = receiving_.find(key_of(step));
  GALV_CHECK(found != receiving_.end(), "no transfer was posted for microbatch ", step.microbatch);
  const Trace::Scope scope(
      trace_, step.action == Action::kRecvActivation ? "wait for activation" : "wait for gradient",
      "communication");
  for (comm::Pending& pending : found->second.pending) pending.wait();
  nn::Activations out = std::move(found->second.streams);
  receiving_.erase(found);
  return out;
}

void StageExecutor::send(const Step& step) {
  const auto found = outgoing_.find(key_of(step));
  GALV_CHECK(found != outgoing_.end(), "nothing to send for microbatch ", step.microbatch);
  const bool forward = step.action == Action::kSendActivation;
  for (std::size_t i = 0; i < found->second.size(); ++i) {
    const at::Tensor& tensor = found->second[i];
    if (tensor.numel() == 0) continue;
    const comm::Group& pair = forward ? next_ : previous_;
    const int receiver = stage(step) + (forward ? 1 : -1);
    sending_.push_back(
        pair.send(tensor.contiguous(), other(pair), tag_of(plan_, step, receiver, i)));
  }
  outgoing_.erase(found);
}

nn::LayerCall StageExecutor::make_call(int layer, int microbatch, const StepContext& context) {
  nn::LayerCall call =
      runner(layer).make_call(plan_.samples_of_microbatch(microbatch), context.first_sample);
  call.training = context.training;
  call.logits = context.logits;
  add_inputs(call, layer, context);
  return call;
}

void StageExecutor::add_inputs(nn::LayerCall& call, int layer, const StepContext& context) {
  const std::int64_t first = call.first_sample - context.first_sample;  // within the global batch
  const Range samples{first, first + call.num_samples};
  for (const spec::InputKind kind : model_.layer(layer).inputs) {
    at::Tensor& slot = input_slot(call.inputs, kind);
    slot = context.input->fetch(kind, samples, call.sequence.block_tokens)
               .to(device_, /*non_blocking=*/true);
    if (kind == spec::InputKind::kImages) slot = slot.to(compute_scalar_type(plan_.precision));
  }
}

// `x` are the streams between `border` and the layer after it.
nn::Activations StageExecutor::to_layout(const nn::Activations& x, int border, int from_layer,
                                         int to_layer, int microbatch) {
  const std::int64_t num_samples = plan_.samples_of_microbatch(microbatch).size();
  const std::vector<spec::StreamSpec>& streams = model_.layer(border).outputs;
  GALV_CHECK(x.size() == streams.size(), x.size(), " streams behind ", model_.layer(border).name,
             ", which makes ", streams.size());
  nn::Activations out;
  for (std::size_t i = 0; i < x.size(); ++i) {
    out.push_back(redistribute(x[i], layout(from_layer), layout(to_layer), num_samples,
                               streams[i].length(seq_length_), stage_group_));
  }
  return out;
}

void StageExecutor::forward(const Step& step, const StepContext& context) {
  const int first = first_layer(step), last = last_layer(step), microbatch = step.microbatch;
  nn::Activations x;
  if (!is_first_stage(step)) x = received({Action::kRecvActivation, microbatch, step.chunk});
  const Trace::Scope scope(trace_, plan::to_text(std::vector<Step>{step}), "forward");
  for (int layer = first; layer <= last; ++layer) {
    const nn::LayerCall call = make_call(layer, microbatch, context);
    if (layer > 0) x = to_layout(x, layer - 1, layer - 1, layer, microbatch);
    if (layer < last) {
      runner(layer).prefetch();
      runner(layer + 1).prefetch();
    }
    x = context.training ? runner(layer).forward(microbatch, x, call)
                         : runner(layer).evaluate(x, call);
  }
  if (!is_last_stage(step)) {
    outgoing_[{Action::kSendActivation, step.chunk, microbatch}] = std::move(x);
  } else if (context.logits) {
    logits_ = x[0];
  }
}

void StageExecutor::backward(const Step& step, bool last_backward, const StepContext& context) {
  const int first = first_layer(step), last = last_layer(step), microbatch = step.microbatch;
  nn::Activations grad;
  if (!is_last_stage(step)) grad = received({Action::kRecvGradient, microbatch, step.chunk});
  const Trace::Scope scope(trace_, plan::to_text(std::vector<Step>{step}), "backward");
  for (int layer = last; layer >= first; --layer) {
    if (layer > first) {
      runner(layer).prefetch();
      runner(layer - 1).prefetch();
    }
    grad = runner(layer).backward(microbatch, grad, last_backward, context.loss_scale);
    // At most one layer's reduction is under way behind the one that computes.
    if (layer < last) runner(layer + 1).finish_reductions();
    if (layer > 0) grad = to_layout(grad, layer - 1, layer, layer - 1, microbatch);
  }
  runner(first).finish_reductions();
  if (!is_first_stage(step))
    outgoing_[{Action::kSendGradient, step.chunk, microbatch}] = std::move(grad);
}

void StageExecutor::prefetch_for_next(const std::vector<Step>& steps, std::size_t current) {
  for (std::size_t i = current + 1; i < steps.size(); ++i) {
    if (!is_compute(steps[i])) continue;
    runner(steps[i].action == Action::kForward ? first_layer(steps[i]) : last_layer(steps[i]))
        .prefetch();
    return;
  }
}

}  // namespace galvatron::runtime
