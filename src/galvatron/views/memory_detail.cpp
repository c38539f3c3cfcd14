#include "galvatron/views/memory_detail.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/views/amounts.h"
#include "galvatron/views/memory_tree.h"

namespace galvatron::views {
namespace {

using planning::PricedPlan;

// Moments that a picture shows: of neighbours beyond so many the largest.
constexpr std::size_t kMostPoints = 3000;

std::vector<cost::MemoryMoment> thinned(const std::vector<cost::MemoryMoment>& moments,
                                        std::size_t peak) {
  const std::size_t group = moments.size() / kMostPoints + 1;
  std::vector<cost::MemoryMoment> out;
  for (std::size_t begin = 0; begin < moments.size(); begin += group) {
    const std::size_t end = std::min(begin + group, moments.size());
    std::size_t most = begin;
    for (std::size_t i = begin; i < end; ++i) {
      if (i == peak || moments[i].total() > moments[most].total()) most = i;
      if (most == peak) break;
    }
    out.push_back(moments[most]);
  }
  return out;
}

OrderedJson over_time_view(const cost::MemoryOverTime& memory, const cost::StageMemory& predicted) {
  const auto moments = thinned(memory.moments, memory.peak.moment);
  const auto column = [&](auto value_of) {
    OrderedJson out = OrderedJson::array();
    for (const cost::MemoryMoment& moment : moments) out.push_back(value_of(moment));
    return out;
  };
  OrderedJson parts;
  const auto add_constant = [&](const char* name, Bytes bytes) {
    if (bytes.value > 0) parts[name] = column([&](const auto&) { return bytes.value; });
  };
  add_constant("parameters", predicted.states.parameters);
  add_constant("master", predicted.states.master);
  add_constant("gradients", predicted.states.gradients);
  add_constant("optimizer", predicted.states.optimizer);
  parts["activations"] = column([](const auto& moment) { return moment.activation_bytes; });
  parts["transient"] = column([](const auto& moment) { return moment.transient_bytes; });
  add_constant("reserve", predicted.reserve);
  return {{"ms", column([](const auto& moment) { return moment.at.value; })},
          {"parts", std::move(parts)}};
}

// Activations of microbatches that wait for their backward, and of the one that runs.
std::pair<std::int64_t, std::int64_t> waiting_and_newest(const PricedPlan& priced,
                                                         const cost::MemoryPeakDetail& peak,
                                                         int pp_rank) {
  const std::vector<int> stages = priced.plan.pipeline.stages_of_rank(pp_rank);
  std::int64_t waiting = 0, newest = 0;
  for (std::size_t chunk = 0; chunk < stages.size(); ++chunk) {
    const bool runs = static_cast<int>(chunk) == peak.chunk;
    const Range layers = priced.plan.layers_of_stage(stages[chunk]);
    for (auto layer = static_cast<int>(layers.begin); layer < layers.end; ++layer) {
      const cost::LayerRow& row = priced.cost.layers[static_cast<std::size_t>(layer)];
      const std::int64_t bytes = row.memory.activation.value;
      const int large = peak.num_large[chunk], small = peak.in_flight[chunk] - large;
      waiting += (large - runs) * bytes + small * row.small_activation.value;
      if (runs && peak.keeps(layer)) newest += bytes;
    }
  }
  return {waiting, newest};
}

int num_waiting(const cost::MemoryPeakDetail& peak) {
  int count = -1;
  for (const int of_chunk : peak.in_flight) count += of_chunk;
  return count;
}

OrderedJson alive(const PricedPlan& priced, const cost::MemoryPeakDetail& peak, int pp_rank) {
  const cost::StageMemory& memory = priced.cost.stages[static_cast<std::size_t>(pp_rank)].memory;
  const spec::ModelSpec& model = priced.question.model;
  OrderedJson out = OrderedJson::array();
  const auto add = [&](const std::string& name, std::int64_t bytes) {
    if (bytes > 0) out.push_back(memory_node(name, bytes));
  };
  add("parameters", memory.states.parameters.value);
  add("master copies of parameters", memory.states.master.value);
  add("gradients", memory.states.gradients.value);
  add("optimizer states", memory.states.optimizer.value);
  const auto [waiting, newest] = waiting_and_newest(priced, peak, pp_rank);
  add(fmt::format("activations of {} that wait{} for backward",
                  count_text(num_waiting(peak), "microbatch"), num_waiting(peak) == 1 ? "s" : ""),
      waiting);
  add(fmt::format("activations of the microbatch that runs, up to {}",
                  model.layer(peak.kept_to).name),
      newest);
  for (const TransientPiece& piece : transient_pieces(peak)) {
    add(fmt::format("{}: {}", model.layer(piece.layer).name, piece.name), piece.bytes);
  }
  add("reserve", memory.reserve.value);
  return out;
}

}  // namespace

OrderedJson memory_detail(const PricedPlan& priced, int pp_rank) {
  const int degree = priced.plan.pipeline.degree;
  if (pp_rank < 0 || pp_rank >= degree) {
    throw ConfigError("[plan] pp_rank ", pp_rank, " is outside 0 .. ", degree - 1,
                      ", the pipeline ranks of the plan");
  }
  const cost::StageMemory& predicted = priced.cost.stages[static_cast<std::size_t>(pp_rank)].memory;
  const cost::MemoryOverTime memory =
      memory_over_time(priced.question.inputs(), priced.plan, priced.cost, pp_rank);
  return {{"pp_rank", pp_rank},
          {"over_time", over_time_view(memory, predicted)},
          {"peak",
           {{"ms", memory.moments[memory.peak.moment].at.value},
            {"total", amount(predicted.total())},
            {"alive", alive(priced, memory.peak, pp_rank)}}},
          {"tree", memory_tree(priced, memory.peak, pp_rank)}};
}

}  // namespace galvatron::views
