#include "galvatron/runtime/stage_executor.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/plan/rank_parts.h"
#include "galvatron/plan/traced_step.h"
#include "galvatron/runtime/layer_call.h"
#include "galvatron/runtime/redistribute.h"
#include "galvatron/runtime/unit_builder.h"

namespace galvatron::runtime {
namespace {

using plan::Action;
using plan::Step;

// Does the step belong to a forward?
bool goes_forward(const Step& step) {
  switch (step.action) {
    case Action::kForward:
    case Action::kMoveActivation:
    case Action::kPostActivation:
    case Action::kRecvActivation:
    case Action::kSendActivation:
      return true;
    default:
      return false;
  }
}

constexpr int kMaxStreams = 4;

comm::FlightEntry flight_entry(const Step& step) {
  comm::FlightEntry entry;
  entry.kind = goes_forward(step) ? "forward" : "backward";
  entry.layer = step.layer;
  entry.microbatch = step.microbatch;
  return entry;
}

// Of the message in front of `receiving_stage`, alike on both sides: plan/traced_step.h.
std::string message_name(const Step& step, int receiving_stage) {
  return fmt::format("{} {} to stage {}", goes_forward(step) ? "activation" : "gradient",
                     step.microbatch, receiving_stage);
}

int other(const comm::Group& pair) { return 1 - pair.rank(); }

// One tag per microbatch, receiving chunk, stream and kind. The kind is the lowest bit: activations
// and gradients between two ranks overtake each other (Group::send).
int tag_of(const plan::Plan& plan, const Step& step, int receiving_stage, std::size_t stream) {
  const int chunk = receiving_stage / plan.pipeline.degree;
  const int message = step.microbatch * plan.pipeline.stages_per_rank() + chunk;
  return (message * kMaxStreams + static_cast<int>(stream)) * 2 + (goes_forward(step) ? 0 : 1);
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
                             std::vector<std::unique_ptr<LayerRunner>> runners,
                             std::vector<ParamUnit*> units, Trace& trace)
    : model_(model),
      plan_(plan),
      trace_(trace),
      flight_(world.flight()),
      seq_length_(seq_length),
      pp_rank_(plan.pp_rank_of(world.rank())),
      rank_in_stage_(world.rank() % plan.ranks_per_stage()),
      device_(world.device()),
      runners_(std::move(runners)),
      units_(std::move(units)),
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
  training_steps_ = make_steps(/*training=*/true);
  evaluation_steps_ = make_steps(/*training=*/false);
}

StageExecutor::~StageExecutor() { flight_.stop_listening(this); }

std::vector<Step> StageExecutor::make_steps(bool training) const {
  const plan::Pipeline& pipeline = plan_.pipeline;
  std::vector<Step> steps = plan::make_schedule(pipeline.schedule, pp_rank_, pipeline.degree,
                                                plan_.num_microbatches, pipeline.stages_per_rank());
  if (!training) {
    std::erase_if(steps, [](const Step& step) { return step.action != Action::kForward; });
  }
  const std::vector<plan::RankUnit> units = plan::rank_units(model_, plan_, pp_rank_);
  GALV_CHECK(units.size() == units_.size(), units_.size(), " parameter units where the plan has ",
             units.size());
  return plan::lower(steps, pp_rank_, pipeline.degree,
                     plan::rank_parts(model_, plan_, pp_rank_, units, training));
}

void StageExecutor::set_seq_length(std::int64_t seq_length) {
  seq_length_ = seq_length;
  for (const auto& runner : runners_) runner->set_seq_length(seq_length);
}

void StageExecutor::run(InputSource& input, std::int64_t step, double loss_scale) {
  run_steps(training_steps_, {&input, step * plan_.global_batch, loss_scale});
}

void StageExecutor::evaluate(InputSource& input) {
  StepContext context{&input};
  context.training = false;
  context.scores = true;
  run_steps(evaluation_steps_, context);
}

std::vector<at::Tensor> StageExecutor::logits(InputSource& input) {
  StepContext context{&input};
  context.training = false;
  context.logits = true;
  logits_.clear();
  run_steps(evaluation_steps_, context);
  return std::move(logits_);
}

at::Tensor StageExecutor::take_sums() {
  LayerRunner& last = *runners_.back();
  if (last.computes_loss()) {
    const at::Tensor sums = last.take_sums();
    if (last.loss_counts()) return sums.to(device_);
  }
  return at::zeros({2}, at::TensorOptions().dtype(at::kDouble).device(device_));
}

void StageExecutor::run_steps(const std::vector<Step>& steps, const StepContext& context) {
  last_documents_ = {};
  flight_.listen(
      this,
      [this](const comm::FlightEntry& entry, const std::vector<int>& ranks, double begin,
             double end) {
        if (!trace_.enabled()) return;
        if (const auto kind = kind_of_wait(entry, ranks))
          trace_.add_wait(entry.kind, begin, end, wait_began_, enum_text(*kind));
      },
      [this] { wait_began_ = trace_.mark(); });
  for (const Step& step : steps) {
    trace_stage(step);
    running_ = &step;
    run_step(step, context);
  }
  running_ = nullptr;
  stage_scope_.reset();
  finish_sends();
  flowing_.clear();
  GALV_CHECK(receiving_.empty(), "transfers left over after a step");
}

void StageExecutor::run_step(const Step& step, const StepContext& context) {
  switch (step.action) {
    case Action::kForward:
      return forward(step, context);
    case Action::kBackward:
      return backward(step, context);
    case Action::kWeightGradient:  // made by the backward
      return;
    case Action::kPostActivation:
    case Action::kPostGradient:
      return post_receive(step);
    case Action::kRecvActivation:
    case Action::kRecvGradient:
      return receive(step);
    case Action::kSendActivation:
    case Action::kSendGradient:
      return send(step);
    case Action::kMoveActivation:
    case Action::kMoveGradient:
      return change_layout(step);
    case Action::kGather:
      return unit(step).gather();
    case Action::kFree:
      return unit(step).free();
    case Action::kAddGradients:
      return runner(step.layer).add_gradients();
    case Action::kReduce:
      return unit(step).start_reduction();
    case Action::kFinishReduce:
      return unit(step).finish_reduction();
    case Action::kReduceTie:
      finish_sends();
      return unit(step).reduce_tie();
  }
}

// One event for a stage's forward or backward, from its first layer to what leaves it.
void StageExecutor::trace_stage(const Step& step) {
  const Action action = step.action;
  const bool moves = action == Action::kMoveActivation || action == Action::kMoveGradient;
  if (!plan::is_compute(action) && !moves) {
    if (step.layer < 0 && step.unit < 0) stage_scope_.reset();  // transfers
    return;
  }
  const bool forward = goes_forward(step);
  const Step of{forward ? Action::kForward : Action::kBackward, step.microbatch, step.chunk};
  if (stage_scope_ && traced_ == of) return;
  stage_scope_.reset();
  stage_scope_.emplace(trace_, plan::to_text(of), forward ? "forward" : "backward");
  traced_ = of;
}

// Layers' own collectives are those of their TP group, and exchanges; whatever else a layer waits
// for are its parameters. Behind the list all ranks are waited for.
std::optional<plan::StepKind> StageExecutor::kind_of_wait(const comm::FlightEntry& entry,
                                                          const std::vector<int>& ranks) const {
  using enum plan::StepKind;
  const std::string_view operation = entry.kind;
  if (operation == "receive") return std::nullopt;  // receive() says it
  if (operation == "send") return kTransfer;
  if (!running_) {
    const bool is_of_all = static_cast<int>(ranks.size()) == plan_.world_size;
    return operation == "all_reduce" && is_of_all ? std::optional(kBubble) : std::nullopt;
  }
  switch (running_->action) {
    case Action::kForward:
    case Action::kBackward:
      if (operation == "all_to_all") return kUlysses;
      if (ranks == plan_.layout(running_->layer)
                       .tp_ranks(pp_rank_ * plan_.ranks_per_stage() + rank_in_stage_))
        return kTp;
      return plan_.strategy(running_->layer).zero_stage == 3 ? kZero : kParameters;
    case Action::kMoveActivation:
    case Action::kMoveGradient:
      return kLayoutChange;
    case Action::kGather:
      return kZero;
    case Action::kReduce:
    case Action::kFinishReduce:
      return units_[static_cast<std::size_t>(running_->unit)]->reduces_each() ? kZero : kGradients;
    default:
      return kGradients;
  }
}

void StageExecutor::finish_sends() {
  if (sending_.empty()) return;
  const Trace::Scope scope(trace_, "finish sends", "communication",
                           enum_text(plan::StepKind::kTransfer));
  for (comm::Pending& pending : sending_) pending.wait();
  sending_.clear();
}

void StageExecutor::post_receive(const Step& step) {
  const bool forward = goes_forward(step);
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
  const TransferKey key{forward, step.chunk, step.microbatch};
  const bool fresh = receiving_.emplace(key, std::move(transfer)).second;
  GALV_CHECK(fresh, "microbatch ", step.microbatch, " is received twice");
}

void StageExecutor::receive(const Step& step) {
  const bool forward = goes_forward(step);
  const auto found = receiving_.find({forward, step.chunk, step.microbatch});
  GALV_CHECK(found != receiving_.end(), "no transfer was posted for microbatch ", step.microbatch);
  const Trace::Scope scope(trace_, "wait for " + message_name(step, stage(step)), "communication",
                           plan::kNeighbour);
  for (comm::Pending& pending : found->second.pending) pending.wait();
  flowing_ = std::move(found->second.streams);
  receiving_.erase(found);
}

void StageExecutor::send(const Step& step) {
  GALV_CHECK(!flowing_.empty(), "nothing to send for microbatch ", step.microbatch);
  const bool forward = goes_forward(step);
  const int receiver = stage(step) + (forward ? 1 : -1);
  const Trace::Scope scope(trace_, "send " + message_name(step, receiver), "communication",
                           enum_text(plan::StepKind::kTransfer));
  for (std::size_t i = 0; i < flowing_.size(); ++i) {
    const at::Tensor& tensor = flowing_[i];
    if (tensor.numel() == 0) continue;
    const comm::Group& pair = forward ? next_ : previous_;
    sending_.push_back(
        pair.send(tensor.contiguous(), other(pair), tag_of(plan_, step, receiver, i)));
  }
  flowing_.clear();
}

nn::LayerCall StageExecutor::make_call(int layer, int microbatch, const StepContext& context) {
  nn::LayerCall call =
      runner(layer).make_call(plan_.samples_of_microbatch(microbatch), context.first_sample);
  call.training = context.training;
  call.logits = context.logits;
  call.scores = context.scores;
  add_inputs(call, layer, context);
  add_documents(call, layer, context);
  return call;
}

void StageExecutor::add_inputs(nn::LayerCall& call, int layer, const StepContext& context) {
  const Range samples = samples_of(call, context);
  if (model_.layer(layer).inputs.empty()) return;
  const auto scope = comm::FlightRecorder::files(flight_, "reading a batch");
  for (const spec::InputKind kind : model_.layer(layer).inputs) {
    if (context.logits && is_answer(kind)) continue;
    const bool is_image = kind == spec::InputKind::kImages;
    const Range part = is_image ? pixel_rows(model_.layer(layer), model_.image, call.sequence)
                                : call.sequence.block_tokens;
    const auto read = [&](spec::InputKind what) {
      at::Tensor value = context.input->fetch(what, samples, part);
      if (is_image && value.size(2) != part.size())
        value = value.narrow(2, part.begin, part.size());
      at::Tensor& slot = input_slot(call.inputs, what);
      slot = value.to(device_, /*non_blocking=*/true);
      return &slot;
    };
    at::Tensor& slot = *read(kind);
    if (is_image) slot = slot.to(compute_scalar_type(plan_.precision));
    using enum spec::InputKind;
    if (kind == kClasses && context.training && context.input->says(kSecondClasses))
      read(kSecondClasses);
  }
}

// Layers of a stage see the same samples one after another.
void StageExecutor::add_documents(nn::LayerCall& call, int layer, const StepContext& context) {
  if (runner(layer).computes_loss()) return;
  const Range samples = samples_of(call, context);
  const DocumentsKey key{samples.begin, samples.end, call.sequence.length, call.context.length};
  if (last_documents_.first != key) {
    const auto scope = comm::FlightRecorder::files(flight_, "reading a batch");
    const auto read = [&](spec::InputKind kind, std::int64_t length) {
      if (!context.input->says(kind)) return at::Tensor();
      const at::Tensor whole = context.input->fetch(kind, samples, {0, length});
      return stays_on_host(kind) ? whole : whole.to(device_, /*non_blocking=*/true);
    };
    last_documents_ = {key, document_inputs(call, read)};
  }
  call.documents = last_documents_.second;
}

// The streams in front of the step's layer.
void StageExecutor::change_layout(const Step& step) {
  const int border = step.layer - 1;
  const bool forward = goes_forward(step);
  const std::int64_t num_samples = plan_.samples_of_microbatch(step.microbatch).size();
  const std::vector<spec::StreamSpec>& streams = model_.layer(border).outputs;
  GALV_CHECK(flowing_.size() == streams.size(), flowing_.size(), " streams behind ",
             model_.layer(border).name, ", which makes ", streams.size());
  const plan::TokenLayout from = layout(forward ? border : step.layer);
  const plan::TokenLayout to = layout(forward ? step.layer : border);
  for (std::size_t i = 0; i < flowing_.size(); ++i) {
    flowing_[i] = redistribute(flowing_[i], from, to, num_samples, streams[i].length(seq_length_),
                               stage_group_);
  }
}

void StageExecutor::forward(const Step& step, const StepContext& context) {
  const comm::FlightRecorder::Scope scope(flight_, flight_entry(step), /*on_files=*/false);
  LayerRunner& layer = runner(step.layer);
  if (step.layer == 0) flowing_.clear();
  const nn::LayerCall call = make_call(step.layer, step.microbatch, context);
  flowing_ = context.training ? layer.forward(step.microbatch, flowing_, call)
                              : layer.evaluate(flowing_, call);
  if (context.logits && step.layer + 1 == model_.num_layers()) logits_.push_back(flowing_[0]);
}

void StageExecutor::backward(const Step& step, const StepContext& context) {
  const comm::FlightRecorder::Scope scope(flight_, flight_entry(step), /*on_files=*/false);
  LayerRunner& layer = runner(step.layer);
  if (layer.computes_loss()) flowing_.clear();
  flowing_ = layer.backward(step.microbatch, flowing_, context.loss_scale);
}

}  // namespace galvatron::runtime
