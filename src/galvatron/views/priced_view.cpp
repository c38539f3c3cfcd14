#include "galvatron/views/priced_view.h"

#include <utility>
#include <vector>

#include "galvatron/cost/step_parts.h"
#include "galvatron/planning/answer.h"
#include "galvatron/views/amounts.h"

namespace galvatron::views {
namespace {

using planning::PricedPlan;

OrderedJson rank_memory_view(const PricedPlan& priced, int pp_rank) {
  const plan::Plan& plan = priced.plan;
  const cost::StageMemory& memory = priced.cost.stages[static_cast<std::size_t>(pp_rank)].memory;
  const std::int64_t first = std::int64_t{plan.ranks_per_stage()} * pp_rank;
  const double budget = static_cast<double>(priced.question.memory.value);
  OrderedJson out = {{"pp_rank", pp_rank},
                     {"stages", plan.pipeline.stages_of_rank(pp_rank)},
                     {"ranks", first_and_last({first, first + plan.ranks_per_stage()})},
                     {"total", amount(memory.total())},
                     {"share_of_budget", nullptr},
                     {"parts", memory_parts_view(memory)}};
  if (budget > 0) out["share_of_budget"] = static_cast<double>(memory.total().value) / budget;
  return out;
}

OrderedJson stage_times_view(const cost::PlanCost& cost) {
  OrderedJson out = OrderedJson::array();
  for (std::size_t i = 0; i < cost.stages.size(); ++i) {
    const cost::StageCost& stage = cost.stages[i];
    out.push_back({{"stage", i},
                   {"forward_ms", stage.forward.value},
                   {"backward_ms", stage.backward.value},
                   {"once_ms", stage.once.value},
                   {"transfers_ms", stage.transfers.value}});
  }
  return out;
}

OrderedJson layer_costs_view(const cost::PlanCost& cost) {
  OrderedJson out = OrderedJson::array();
  for (const cost::LayerRow& row : cost.layers) {
    out.push_back({{"time", layer_time_to_json(row)}, {"memory", layer_memory_to_json(row)}});
  }
  return out;
}

void add_throughput(OrderedJson& out, const planning::Throughput& rate) {
  out["tokens_per_second"] =
      amount(rate.tokens_per_second, planning::rate_text(rate.tokens_per_second));
  out["tokens_per_second_per_device"] = amount(
      rate.tokens_per_second_per_device, planning::rate_text(rate.tokens_per_second_per_device));
  for (const char* key : {"mfu", "days", "device_hours"}) out[key] = nullptr;
  if (rate.mfu) {
    out["mfu"] = amount(*rate.mfu, planning::mfu_text(*rate.mfu));
    out["mfu"]["convention"] = planning::kMfuConvention;
  }
  if (rate.days) {
    out["days"] = amount(*rate.days, planning::days_text(*rate.days));
    out["device_hours"] =
        amount(*rate.device_hours, planning::device_hours_text(*rate.device_hours));
  }
}

}  // namespace

OrderedJson memory_parts_view(const cost::StageMemory& memory) {
  OrderedJson out = OrderedJson::array();
  const auto add = [&](const char* name, Bytes bytes) {
    if (bytes.value == 0) return;
    out.push_back({{"name", name}, {"bytes", bytes.value}, {"text", to_text(bytes)}});
  };
  add("parameters", memory.states.parameters);
  add("master", memory.states.master);
  add("gradients", memory.states.gradients);
  add("optimizer", memory.states.optimizer);
  add("activations", memory.activations);
  add("transient", memory.transient);
  add("reserve", memory.reserve);
  return out;
}

OrderedJson step_parts_view(const PricedPlan& priced) {
  const cost::PlanCost& cost = priced.cost;
  OrderedJson out = OrderedJson::array();
  for (const cost::StepPart& part : step_parts(priced.question.inputs(), priced.plan, cost)) {
    out.push_back({{"name", name_of(part)},
                   {"part", enum_text(part.part)},
                   {"links", enum_text(part.links)},
                   {"ms", part.time.value},
                   {"text", to_text(part.time)},
                   {"share", part.time / cost.step_time}});
  }
  return out;
}

OrderedJson memory_view(const PricedPlan& priced) {
  OrderedJson ranks = OrderedJson::array();
  for (int pp_rank = 0; pp_rank < priced.plan.pipeline.degree; ++pp_rank) {
    ranks.push_back(rank_memory_view(priced, pp_rank));
  }
  return {{"budget", amount_or_null(priced.question.memory)},
          {"device", amount_or_null(priced.question.hardware.device_memory)},
          {"ranks", std::move(ranks)}};
}

OrderedJson time_view(const PricedPlan& priced) {
  const cost::PlanCost& cost = priced.cost;
  OrderedJson out = {{"step", amount(cost.step_time)}, {"simulated", amount(cost.simulated_time)}};
  add_throughput(out, throughput(priced.question, priced.plan, cost));
  out["parts"] = step_parts_view(priced);
  out["stages"] = stage_times_view(cost);
  out["hidden_communication"] = amount(cost.hidden_communication);
  return out;
}

OrderedJson priced_view(const PricedPlan& priced) {
  const planning::Question& question = priced.question;
  const std::int64_t batch = priced.plan.global_batch;
  const bool fits = priced.fits();
  return {{"fits", fits},
          {"misfit", fits ? OrderedJson(nullptr) : OrderedJson(why_it_does_not_fit(priced))},
          {"question", question_to_json(question, batch)},
          {"question_text", to_text(question, batch, profiles::current_time())},
          {"table_text", priced_plan_table(priced)},
          {"memory", memory_view(priced)},
          {"time", time_view(priced)},
          {"layers", layer_costs_view(priced.cost)},
          {"extrapolated", extrapolated(question, priced.plan)}};
}

}  // namespace galvatron::views
