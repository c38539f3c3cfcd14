#include "galvatron/views/memory_tree.h"

#include <algorithm>
#include <utility>

#include "galvatron/plan/param_units.h"
#include "galvatron/views/amounts.h"

namespace galvatron::views {
namespace {

using planning::PricedPlan;

// A parent of nodes that take something; its bytes are theirs.
OrderedJson parent(const std::string& name, const std::vector<OrderedJson>& children) {
  std::int64_t sum = 0;
  OrderedJson kept = OrderedJson::array();
  for (const OrderedJson& child : children) {
    const auto bytes = child["bytes"].get<std::int64_t>();
    if (bytes == 0) continue;
    sum += bytes;
    kept.push_back(child);
  }
  OrderedJson out = memory_node(name, sum);
  if (!kept.empty()) out["children"] = std::move(kept);
  return out;
}

// Bytes of a unit's states in shares of its elements, so that the shares add up.
class UnitShares {
 public:
  UnitShares(std::int64_t bytes, std::int64_t elements) : bytes_(bytes), elements_(elements) {}
  std::int64_t next(std::int64_t elements) {
    const std::int64_t before = share(done_);
    done_ += elements;
    return share(done_) - before;
  }
  std::int64_t rest() { return next(elements_ - done_); }

 private:
  std::int64_t share(std::int64_t elements) const {
    return static_cast<std::int64_t>(static_cast<__int128>(bytes_) * elements / elements_);
  }
  std::int64_t bytes_, elements_, done_ = 0;
};

class TreeOfStates {
 public:
  TreeOfStates(const PricedPlan& priced, const std::vector<int>& layers) : priced_(priced) {
    for (const int layer : layers) {
      layers_.push_back({layer, plan::param_units(priced.question.model, priced.plan, layer)});
    }
  }

  OrderedJson part(const char* name, Bytes cost::LayerStates::* member) const {
    std::vector<OrderedJson> nodes;
    for (const Held& held : layers_) {
      std::vector<OrderedJson> tensors;
      for (const plan::UnitSpec& unit : held.units) add_tensors(tensors, held.layer, unit, member);
      nodes.push_back(parent(priced_.question.model.layer(held.layer).name, tensors));
    }
    return parent(name, nodes);
  }

 private:
  struct Held {
    int layer;
    cost::ParamUnits units;
  };

  void add_tensors(std::vector<OrderedJson>& out, int layer, const plan::UnitSpec& unit,
                   Bytes cost::LayerStates::* member) const {
    const plan::LayerStrategy& strategy = priced_.plan.strategy(layer);
    const Bytes bytes =
        cost::layer_states({unit}, strategy.zero_stage, priced_.question.job).*member;
    UnitShares shares(bytes.value, unit.elements);
    const spec::LayerSpec& spec = priced_.question.model.layer(layer);
    for (const int index : unit.params) {
      const spec::ParamSpec& param = spec.params[static_cast<std::size_t>(index)];
      const std::int64_t elements =
          spec::local_numel(param, strategy.tp_degree, strategy.tp_degree - 1);
      out.push_back(memory_node(param.name, shares.next(elements)));
    }
    out.push_back(memory_node("padding", shares.rest()));
  }

  const PricedPlan& priced_;
  std::vector<Held> layers_;
};

// Of microbatches of both sizes.
OrderedJson activations_of_layer(const PricedPlan& priced, int layer, int large, int small) {
  const plan::Plan& plan = priced.plan;
  const cost::CostInputs inputs = priced.question.inputs();
  const auto sizes = cost::microbatch_sizes(plan.global_batch, plan.num_microbatches);
  const cost::LayerRow& row = priced.cost.layers[static_cast<std::size_t>(layer)];
  const bool begins_stage = plan.layers_of_stage(row.stage).begin == layer;
  const auto input_of = [&](std::int64_t samples) {
    const plan::TokenLayout layout = plan.layout(layer).tokens();
    return begins_stage ? cost::border_bytes(inputs, layer, layout, samples)
                        : cost::own_input_bytes(inputs, layer, layout, samples);
  };
  const Bytes input = large * input_of(sizes.large) + small * input_of(sizes.small);
  const Bytes all = large * row.memory.activation + small * row.small_activation;
  return parent(
      priced.question.model.layer(layer).name,
      {memory_node("input", input.value), memory_node("kept for backward", (all - input).value)});
}

OrderedJson activations(const PricedPlan& priced, const cost::MemoryPeakDetail& peak, int pp_rank) {
  std::vector<OrderedJson> nodes;
  const std::vector<int> stages = priced.plan.pipeline.stages_of_rank(pp_rank);
  for (std::size_t chunk = 0; chunk < stages.size(); ++chunk) {
    const Range layers = priced.plan.layers_of_stage(stages[chunk]);
    for (auto layer = static_cast<int>(layers.begin); layer < layers.end; ++layer) {
      const bool dropped = static_cast<int>(chunk) == peak.chunk && !peak.keeps(layer);
      const int large = peak.num_large[chunk];
      nodes.push_back(
          activations_of_layer(priced, layer, large - dropped, peak.in_flight[chunk] - large));
    }
  }
  return parent("activations", nodes);
}

OrderedJson transient(const PricedPlan& priced, const cost::MemoryPeakDetail& peak) {
  std::vector<OrderedJson> nodes;
  const std::vector<TransientPiece> pieces = transient_pieces(peak);
  for (std::size_t i = 0; i < pieces.size();) {
    const int layer = pieces[i].layer;
    std::vector<OrderedJson> of_layer;
    for (; i < pieces.size() && pieces[i].layer == layer; ++i) {
      of_layer.push_back(memory_node(pieces[i].name, pieces[i].bytes));
    }
    nodes.push_back(parent(priced.question.model.layer(layer).name, of_layer));
  }
  return parent("transient", nodes);
}

// What is dropped at the moment is taken off what comes in its place, the largest first.
void take_off(std::vector<TransientPiece>& pieces, std::int64_t dropped) {
  while (dropped > 0) {
    const auto largest =
        std::max_element(pieces.begin(), pieces.end(),
                         [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
    if (largest == pieces.end() || largest->bytes == 0) return;
    const std::int64_t taken = std::min(dropped, largest->bytes);
    largest->bytes -= taken;
    largest->name += ", beyond the activations that they replace";
    dropped -= taken;
  }
}

}  // namespace

OrderedJson memory_node(const std::string& name, std::int64_t bytes) {
  return {{"name", name}, {"bytes", bytes}, {"text", to_text(Bytes{bytes})}};
}

std::vector<TransientPiece> transient_pieces(const cost::MemoryPeakDetail& peak) {
  const cost::Transient& now = peak.transient;
  const bool forward = now.when == cost::Transient::When::kForward;
  const int layer = peak.kept_to;
  const int next = forward ? layer + 1 : layer - 1, behind = layer + 1;
  std::vector<TransientPiece> all = {
      {next, "parameters gathered ahead", now.gathered_ahead},
      {layer, "gathered parameters", now.gathered},
      {layer, forward ? "workspace of forward" : "workspace of backward", now.workspace},
      {layer, "gradients of a microbatch", now.parameter_gradients},
      {layer, "gradients being reduced", now.reducing},
      {behind, "gradients being reduced", now.reducing_behind},
      {layer, "tensor that is received", now.receiving}};
  std::erase_if(all, [](const TransientPiece& piece) { return piece.bytes == 0; });
  take_off(all, std::max<std::int64_t>(-now.activations, 0));
  std::stable_sort(all.begin(), all.end(), [](const TransientPiece& a, const TransientPiece& b) {
    return a.layer < b.layer;
  });
  return all;
}

OrderedJson memory_tree(const PricedPlan& priced, const cost::MemoryPeakDetail& peak, int pp_rank) {
  std::vector<int> layers;
  for (const int stage : priced.plan.pipeline.stages_of_rank(pp_rank)) {
    const Range range = priced.plan.layers_of_stage(stage);
    for (auto layer = static_cast<int>(range.begin); layer < range.end; ++layer)
      layers.push_back(layer);
  }
  const TreeOfStates states(priced, layers);
  const cost::StageMemory& memory = priced.cost.stages[static_cast<std::size_t>(pp_rank)].memory;
  OrderedJson out = OrderedJson::array();
  for (OrderedJson& part :
       std::vector<OrderedJson>{states.part("parameters", &cost::LayerStates::parameters),
                                states.part("master", &cost::LayerStates::master),
                                states.part("gradients", &cost::LayerStates::gradients),
                                states.part("optimizer", &cost::LayerStates::optimizer),
                                activations(priced, peak, pp_rank), transient(priced, peak),
                                memory_node("reserve", memory.reserve.value)}) {
    if (part["bytes"] != 0) out.push_back(std::move(part));
  }
  return out;
}

}  // namespace galvatron::views
