#include "regret/sleeping_layers.h"

#include <chrono>
#include <map>
#include <thread>

#include <torch/csrc/autograd/custom_function.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/cost/layer_collectives.h"

namespace galvatron::bench {
namespace {

using profiles::Collective;
using Clock = std::chrono::steady_clock;

// What a pass of a layer is made of.
struct Pass {
  double ms = 0;
  std::vector<cost::LayerCollective> collectives;
};

struct Passes {
  Pass forward, backward;
  comm::Group tp, ulysses;
};

void exchange(const comm::Group& group, const cost::LayerCollective& one) {
  const std::int64_t n = group.size(), slice = std::max<std::int64_t>(1, one.bytes / 4 / n);
  at::Tensor whole = at::zeros({slice * n}), part = at::zeros({slice});
  for (int i = 0; i < one.count; ++i) {
    switch (one.kind) {
      case Collective::kAllReduce:
        group.all_reduce(whole);
        break;
      case Collective::kAllGather:
        group.all_gather(whole, part);
        break;
      case Collective::kReduceScatter:
        group.reduce_scatter(part, whole);
        break;
      case Collective::kAllToAll: {
        at::Tensor out = at::zeros({slice * n});
        const std::vector<std::int64_t> sizes(static_cast<std::size_t>(n), slice);
        group.all_to_all(out, whole, sizes, sizes);
        break;
      }
      case Collective::kPointToPoint:
        break;
    }
  }
}

// The time that has passed since `start` is part of it.
void go_through(const Passes& passes, const Pass& pass, Clock::time_point start) {
  std::this_thread::sleep_until(start + std::chrono::duration_cast<Clock::duration>(
                                            std::chrono::duration<double, std::milli>(pass.ms)));
  for (const cost::LayerCollective& one : pass.collectives) {
    exchange(one.of_tp ? passes.tp : passes.ulysses, one);
  }
}

class Sleep : public torch::autograd::Function<Sleep> {
 public:
  // `passes` outlive the graph.
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context,
                                                at::TensorList inputs, const Passes* passes,
                                                const std::vector<at::IntArrayRef>& shapes) {
    const Clock::time_point start = Clock::now();
    context->save_for_backward(inputs.vec());
    context->saved_data["passes"] = reinterpret_cast<std::int64_t>(passes);
    torch::autograd::variable_list out;
    for (const at::IntArrayRef shape : shapes) out.push_back(at::zeros(shape));
    go_through(*passes, passes->forward, start);
    return out;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list&) {
    const Clock::time_point start = Clock::now();
    const auto* passes = reinterpret_cast<const Passes*>(context->saved_data["passes"].toInt());
    torch::autograd::variable_list out;
    for (const at::Tensor& input : context->get_saved_variables())
      out.push_back(at::zeros_like(input));
    out.resize(out.size() + 2);  // of what is no tensor
    go_through(*passes, passes->backward, start);
    return out;
  }
};

class SleepingLayer : public nn::Layer {
 public:
  SleepingLayer(const cost::CostInputs& inputs, const plan::Plan& plan, int layer,
                const nn::LayerPlacement& placement)
      : inputs_(inputs),
        shape_(cost::pipeline_shape(plan)),
        layer_(layer),
        strategy_(plan.strategy(layer)),
        placement_(placement) {}

  nn::Activations forward(const std::vector<at::Tensor>& params, const nn::Activations& x,
                          const nn::LayerCall& call) const override {
    torch::autograd::variable_list inputs(params.begin(), params.end());
    inputs.insert(inputs.end(), x.begin(), x.end());
    std::vector<std::vector<std::int64_t>> shapes;
    if (is_head()) shapes.push_back({});
    for (const spec::StreamSpec& stream : spec().outputs) {
      shapes.push_back({call.num_samples, call.sequence.tokens.size(), stream.width});
    }
    return Sleep::apply(at::TensorList(inputs), &passes_of(call),
                        std::vector<at::IntArrayRef>(shapes.begin(), shapes.end()));
  }

 private:
  const spec::LayerSpec& spec() const { return inputs_.model.layer(layer_); }
  bool is_head() const { return layer_ + 1 == inputs_.model.num_layers(); }

  const Passes& passes_of(const nn::LayerCall& call) const {
    const auto found = passes_.find(call.num_samples);
    if (found != passes_.end()) return found->second;
    return passes_.emplace(call.num_samples, make_passes(call)).first->second;
  }

  Passes make_passes(const nn::LayerCall& call) const {
    const nn::SequenceSplit& sequence = is_head() ? call.before : call.sequence;
    const double share = static_cast<double>(sequence.block_tokens.size()) /
                         static_cast<double>(std::max<std::int64_t>(1, sequence.length));
    const profiles::LayerMeasurement cost = inputs_.profile.lookup(
        spec().type, strategy_.tp_degree, static_cast<double>(call.num_samples) * share);
    // The runtime runs a forward again by calling it.
    plan::LayerStrategy once = strategy_;
    once.recompute = plan::Recompute::kNone;
    const cost::LayerCollectives list = cost::layer_collectives(
        inputs_, shape_, layer_, once, call.num_samples * shape_.layout(strategy_).dp_degree());
    Passes out{{cost.forward.value, list.forward},
               {cost.backward.value, list.backward},
               placement_.groups.tp,
               placement_.groups.ulysses};
    if (placement_.recompute_core) out.backward.ms += cost.selective_recompute.value;
    return out;
  }

  const cost::CostInputs& inputs_;
  cost::PipelineShape shape_;
  int layer_;
  plan::LayerStrategy strategy_;
  nn::LayerPlacement placement_;
  mutable std::map<std::int64_t, Passes> passes_;  // by samples
};

}  // namespace

runtime::LayerFactory sleeping_layers(const cost::CostInputs& inputs, const plan::Plan& plan) {
  return [&](const spec::ModelSpec&, int layer, const nn::LayerPlacement& placement) {
    return std::make_unique<SleepingLayer>(inputs, plan, layer, placement);
  };
}

profiles::HardwareProfile rehearsed_hardware(int world_size, int num_nodes) {
  constexpr profiles::Link kInside{0.6, 8e3}, kBetween{1.2, 2e3};
  profiles::HardwareProfile out;
  out.world_size = world_size;
  out.ranks_per_node = world_size / num_nodes;
  out.links = {{"intra_node", kInside}, {"inter_node", kBetween}};
  return out;
}

profiles::ModelProfile rehearsed_profile(const spec::ModelSpec& model, std::int64_t seq_length) {
  constexpr double kForwardMs = 16, kBackwardMs = 32, kCoreMs = 4;  // of a block and a sample
  constexpr double kSmall = 0.1, kHead = 0.6;                       // of that
  profiles::ModelProfile out;
  out.model = model.name;
  out.seq_length = seq_length;
  const std::vector<std::string> names = model.type_names();
  for (int type = 0; type < static_cast<int>(names.size()); ++type) {
    const spec::LayerSpec& layer = model.layer(model.first_layer_of_type(type));
    const bool is_block = layer.kind == spec::LayerKind::kBlock;
    const double share = is_block ? 1 : (layer.kind == spec::LayerKind::kHead ? kHead : kSmall);
    profiles::LayerTypeProfile entry;
    entry.type = names[static_cast<std::size_t>(type)];
    entry.shapes = spec::layer_shapes(layer);
    entry.parameter_bytes = {layer.num_params() * spec::compute_bytes(out.precision)};
    for (const int tp : {1, 2, 4, 8}) {
      for (const double samples : {0.125, 1.0, 8.0, 64.0}) {
        profiles::LayerMeasurement& one = entry.measurements.emplace_back();
        one.tp_degree = tp;
        one.samples = samples;
        one.forward = {share * kForwardMs * samples / tp};
        one.backward = {share * kBackwardMs * samples / tp};
        if (is_block) one.selective_recompute = {kCoreMs * samples / tp};
      }
    }
    out.types.push_back(std::move(entry));
  }
  out.prepare(model, seq_length, out.precision);
  return out;
}

}  // namespace galvatron::bench
