#include "galvatron/profiler/layer_bench.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/registry.h"
#include "galvatron/plan/rank_layout.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/runtime/layer_call.h"
#include "galvatron/runtime/memory_meter.h"
#include "galvatron/runtime/unit_builder.h"

namespace galvatron::profiler {
namespace {

constexpr int kMicrobatch = 0;

plan::Plan make_plan(const spec::ModelSpec& model, const LayerBenchOptions& options) {
  const spec::JobSpec job{options.seq_length, 1, options.precision};
  return plan::uniform_plan(model, job, options.num_ranks(), options.strategy);
}

// A stream that goes on as it is (T5's encoder output in the decoder) is not made.
Bytes bytes_made(const nn::Activations& y, const nn::Activations& x) {
  Bytes total;
  for (const at::Tensor& tensor : y) {
    const bool came_in = std::any_of(
        x.begin(), x.end(), [&](const at::Tensor& input) { return tensor.is_alias_of(input); });
    if (!came_in) total += Bytes{static_cast<std::int64_t>(tensor.nbytes())};
  }
  return total;
}

nn::Activations like(const nn::Activations& tensors) {
  nn::Activations out;
  for (const at::Tensor& tensor : tensors) out.push_back(at::full_like(tensor, 1e-3));
  return out;
}

}  // namespace

LayerBench::LayerBench(const spec::ModelSpec& model, const LayerBenchOptions& options)
    : model_(model),
      options_(options),
      plan_(make_plan(model, options)),
      world_(comm::fake_world(options.num_ranks() - 1, options.num_ranks(), options.device)) {
  GALV_CHECK(options.device.is_cuda() || runtime::MemoryMeter::installed(),
             "memory is read from a meter that is not installed");
  world_.create_groups(runtime::plan_rank_sets(model, plan_));
  runtime::UnitBuilder builder(model, plan_, world_);
  std::vector<runtime::ParamRef> params = builder.add_layer(options.layer);
  units_ = builder.take_units();
  for (const auto& unit : units_) {
    unit->initialise(options.seed);
    unit->publish();
  }
  const plan::RankLayout layout = plan_.layout(options.layer);
  const int rank = world_.rank();
  const nn::LayerPlacement placement{
      {world_.group(layout.tp_ranks(rank)), world_.group(layout.ulysses_ranks(rank))},
      layout.strategy().recompute == plan::Recompute::kSelective,
      options.seed};
  runner_ = std::make_unique<runtime::LayerRunner>(
      runtime::LayerRunnerOptions{&model, options.layer, layout, rank, options.seq_length},
      models::make_layer(model, options.layer, placement), std::move(params));
}

LayerBench::~LayerBench() = default;

bool LayerBench::is_head() const { return options_.layer + 1 == model_.num_layers(); }

const spec::LayerSpec& LayerBench::layer() const { return model_.layer(options_.layer); }

nn::LayerCall LayerBench::make_call(std::int64_t samples) const {
  nn::LayerCall call = runner_->make_call({0, samples});
  for (const spec::InputKind kind : layer().inputs) {
    runtime::input_slot(call.inputs, kind) =
        random_input(kind, samples, call.sequence.block_tokens.size());
  }
  return call;
}

at::Tensor LayerBench::random_input(spec::InputKind kind, std::int64_t samples,
                                    std::int64_t tokens) const {
  const auto integers = at::TensorOptions().dtype(at::kLong).device(options_.device);
  const spec::ImageSpec& image = model_.image;
  switch (kind) {
    case spec::InputKind::kTokens:
    case spec::InputKind::kTargetTokens:
    case spec::InputKind::kLabels:
      return at::randint(model_.vocab_size, {samples, tokens}, integers);
    case spec::InputKind::kImages:
      return at::randn({samples, image.channels, image.height, image.width}, floats());
    case spec::InputKind::kClasses:
      return at::randint(image.num_classes, {samples}, integers);
    case spec::InputKind::kDocuments:
    case spec::InputKind::kTargetDocuments:
    case spec::InputKind::kPositions:
    case spec::InputKind::kTokenTypes:
    case spec::InputKind::kSecondClasses:
      break;  // no layer takes them
  }
  GALV_CHECK(false, "unknown kind of input");
}

at::TensorOptions LayerBench::floats() const {
  return at::TensorOptions()
      .dtype(runtime::compute_scalar_type(options_.precision))
      .device(options_.device);
}

nn::Activations LayerBench::make_input(const nn::LayerCall& call) const {
  nn::Activations x;
  for (const spec::StreamSpec& stream : model_.inputs_of(options_.layer)) {
    const plan::TokenRect rect =
        plan_.layout(options_.layer)
            .token_rect(world_.rank(), call.num_samples, stream.length(options_.seq_length));
    x.push_back(at::randn({rect.samples.size(), rect.tokens.size(), stream.width}, floats()));
  }
  return x;
}

LayerBytes LayerBench::measure_bytes(std::int64_t samples) {
  runtime::MemoryMeter meter(options_.device);
  const nn::Activations x = make_input(make_call(samples));
  run_once(x, samples);  // what stays from a first use is no workspace
  synchronize(options_.device);
  meter.reset_peak();
  const Bytes before = meter.current();
  nn::Activations y = runner_->forward(kMicrobatch, x, make_call(samples));
  LayerBytes out;
  // The output is the next layer's input, counted there; while it is made it is workspace.
  out.activation = meter.current() - before - bytes_made(y, x);
  out.forward_workspace = meter.peak() - before - out.activation;
  // As in the runtime: the gradient that comes in lives until the layer is done.
  const nn::Activations grad = is_head() ? nn::Activations{} : like(y);
  y.clear();
  meter.reset_peak();
  runner_->backward(kMicrobatch, grad);
  runner_->add_gradients();
  out.backward_workspace = meter.peak() - before - out.activation;
  if (is_head()) runner_->take_sums();
  return out;
}

LayerTimes LayerBench::run_once(const nn::Activations& x, std::int64_t samples) {
  const nn::LayerCall call = make_call(samples);
  LayerTimes out;
  nn::Activations y;
  out.forward =
      compute_time_of([&] { y = runner_->forward(kMicrobatch, x, call); }, options_.device);
  // The runtime runs all of the head inside the backward step; its forward is what evaluation pays.
  if (is_head())
    out.forward = compute_time_of([&] { runner_->evaluate(x, call); }, options_.device);
  const nn::Activations grad = is_head() ? nn::Activations{} : like(y);
  out.backward = compute_time_of(
      [&] {
        runner_->backward(kMicrobatch, grad);
        runner_->add_gradients();
      },
      options_.device);
  if (is_head()) {
    out.backward = std::max(Milliseconds{}, out.backward - out.forward);
    runner_->take_sums();
  }
  return out;
}

LayerTimes LayerBench::time_once(std::int64_t samples) {
  const auto [entry, is_new] = timed_inputs_.try_emplace(samples);
  if (is_new) {
    entry->second = make_input(make_call(samples));
    run_once(entry->second, samples);
  }
  return run_once(entry->second, samples);
}

}  // namespace galvatron::profiler
