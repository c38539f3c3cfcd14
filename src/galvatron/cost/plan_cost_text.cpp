// PlanCost for machines (JSON) and for people (tables).
#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "galvatron/base/table.h"
#include "galvatron/cost/plan_cost.h"

namespace galvatron::cost {
namespace {

OrderedJson memory_to_json(const StageMemory& memory) {
  return {{"parameters_bytes", memory.states.parameters.value},
          {"master_bytes", memory.states.master.value},
          {"gradients_bytes", memory.states.gradients.value},
          {"optimizer_bytes", memory.states.optimizer.value},
          {"activations_bytes", memory.activations.value},
          {"transient_bytes", memory.transient.value},
          {"reserve_bytes", memory.reserve.value},
          {"total_bytes", memory.total().value}};
}

OrderedJson stage_to_json(const StageCost& stage) {
  return {{"first_layer", stage.layers.begin},     {"num_layers", stage.layers.size()},
          {"forward_ms", stage.forward.value},     {"backward_ms", stage.backward.value},
          {"once_ms", stage.once.value},           {"pp_rank", stage.pp_rank},
          {"memory", memory_to_json(stage.memory)}};
}

OrderedJson layer_to_json(const LayerRow& row) {
  OrderedJson out = {{"stage", row.stage}};
  out.update(layer_time_to_json(row));
  out.update(layer_memory_to_json(row));
  return out;
}

// By names; without what is as `usual`.
OrderedJson kinds_to_json(const plan::StepKinds& kinds, double usual) {
  OrderedJson out = OrderedJson::object();
  for (const plan::StepKind kind : enum_values<plan::StepKind>()) {
    if (kinds[kind] != usual) out[enum_text(kind)] = kinds[kind];
  }
  return out;
}

std::string percent(Milliseconds part, Milliseconds whole) {
  return fmt::format("{:.0f} %", whole.value > 0 ? 100 * (part / whole) : 0);
}

// Where the prediction is better than what runs.
std::string note_on_schedule(plan::ScheduleKind schedule) {
  const plan::ScheduleTraits& traits = plan::traits(schedule);
  if (traits.priced_as_if == nullptr) return "";
  return fmt::format("  note: {} is priced as if {}\n", traits.name, traits.priced_as_if);
}

std::string layers_text(Range layers) { return fmt::format("{}-{}", layers.begin, layers.end - 1); }

// "17.9 ms", or "17.9 ms to 40.8 ms" of several stages.
std::string times_text(std::span<const StageCost> stages, Milliseconds StageCost::* time) {
  Milliseconds least = stages.front().*time, most = least;
  for (const StageCost& stage : stages) {
    least = std::min(least, stage.*time);
    most = std::max(most, stage.*time);
  }
  const std::string from = to_text(least), to = to_text(most);
  return from == to ? from : from + " to " + to;
}

}  // namespace

OrderedJson layer_time_to_json(const LayerRow& row) {
  const LayerTime& time = row.time;
  return {{"forward_ms", time.forward.total().value},
          {"backward_ms", time.backward.total().value},
          {"exposed_communication_ms", (time.forward.exposed + time.backward.exposed).value},
          {"hidden_communication_ms", (time.forward.hidden + time.backward.hidden).value},
          {"transition_ms", row.transition.value},
          {"once_ms", time.once().value}};
}

OrderedJson layer_memory_to_json(const LayerRow& row) {
  return {{"state_bytes", row.memory.states.total().value},
          {"activation_bytes", row.memory.activation.value}};
}

OrderedJson plan_cost_to_json(const PlanCost& cost) {
  OrderedJson stages = OrderedJson::array(), layers = OrderedJson::array();
  for (const StageCost& stage : cost.stages) stages.push_back(stage_to_json(stage));
  for (const LayerRow& row : cost.layers) layers.push_back(layer_to_json(row));
  OrderedJson out = {{"optimizer", cost.optimizer},
                     {"step_ms", cost.step_time.value},
                     {"simulated_step_ms", cost.simulated_time.value},
                     {"tokens_per_second", cost.tokens_per_second},
                     {"compute_ms", cost.compute.value},
                     {"exposed_communication_ms", cost.exposed_communication.value},
                     {"hidden_communication_ms", cost.hidden_communication.value},
                     {"bubble_ms", cost.bubble.value},
                     {"slowest_rank", cost.slowest_rank},
                     {"parts_ms", kinds_to_json(cost.kinds, 0)},
                     {"peak_memory_bytes", cost.peak_memory().value},
                     {"stages", stages},
                     {"layers", layers}};
  if (cost.factors != plan::StepKinds(1)) out["calibration"] = kinds_to_json(cost.factors, 1);
  return out;
}

OrderedJson prediction_to_json(const PlanCost& cost, Bytes budget) {
  OrderedJson out = {{"cost_model", "galvatron"}};
  if (budget.value > 0) out["memory_budget_bytes"] = budget.value;
  out["prediction"] = plan_cost_to_json(cost);
  out["prediction"].erase("layers");
  return out;
}

std::string plan_cost_table(const PlanCost& cost, const plan::Plan& plan, Bytes budget) {
  const int num_stages = static_cast<int>(cost.stages.size()), degree = plan.pipeline.degree;
  TextTable table({"stage", "layers", "forward", "backward", "states", "activations", "transient",
                   "reserve", "peak", budget.value > 0 ? "of " + to_text(budget) : "of fullest"});
  table.align(9, TextTable::Align::kLeft);
  const Bytes whole = budget.value > 0 ? budget : cost.peak_memory();
  for (int i = 0; i < num_stages; ++i) {
    const StageCost& stage = cost.stages[static_cast<std::size_t>(i)];
    const StageMemory& memory = stage.memory;
    if (i >= degree) {  // its memory is in the row of its pipeline rank's first stage
      const int last = num_stages > kStagesOneByOne ? num_stages - 1 : i;
      const std::span these(cost.stages.begin() + i, cost.stages.begin() + last + 1);
      const std::string stages = last > i ? fmt::format("{}-{}", i, last) : std::to_string(i);
      table.add_row({stages, layers_text({stage.layers.begin, these.back().layers.end}),
                     times_text(these, &StageCost::forward),
                     times_text(these, &StageCost::backward), "", "", "", "", "",
                     last > i ? "each with stage N mod " + std::to_string(degree)
                              : fmt::format("with stage {}", i % degree)});
      i = last;
      continue;
    }
    const double used = whole.value > 0 ? static_cast<double>(memory.total().value) /
                                              static_cast<double>(whole.value)
                                        : 0;
    table.add_row({std::to_string(i), layers_text(stage.layers), to_text(stage.forward),
                   to_text(stage.backward), to_text(memory.states.total()),
                   to_text(memory.activations), to_text(memory.transient), to_text(memory.reserve),
                   to_text(memory.total()),
                   text_bar(used, 12) + fmt::format(" {:.0f} %", 100 * used)});
  }
  const Milliseconds step = cost.step_time;
  return table.to_string() +
         fmt::format(
             "  predicted step {} ({:.0f} tokens/s): compute {}, communication {} exposed (+ {} "
             "hidden), bubble {}; {} microbatches, {}, {}\n",
             to_text(step), cost.tokens_per_second, percent(cost.compute, step),
             percent(cost.exposed_communication, step), to_text(cost.hidden_communication),
             percent(cost.bubble, step), plan.num_microbatches, to_text(plan.pipeline.schedule),
             to_text(plan.precision)) +
         note_on_schedule(plan.pipeline.schedule);
}

}  // namespace galvatron::cost
