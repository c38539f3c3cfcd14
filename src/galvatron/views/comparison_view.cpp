#include "galvatron/views/comparison_view.h"

#include <algorithm>
#include <map>
#include <utility>

#include "galvatron/cost/step_parts.h"
#include "galvatron/planning/comparison.h"
#include "galvatron/views/amounts.h"
#include "galvatron/views/plan_view.h"

namespace galvatron::views {
namespace {

using planning::PricedPlan;
using PartTimes = std::map<std::pair<cost::TimePart, cost::LinkKind>, Milliseconds>;

PartTimes part_times(const PricedPlan& priced) {
  PartTimes out;
  for (const auto& part : step_parts(priced.question.inputs(), priced.plan, priced.cost)) {
    out[{part.part, part.links}] += part.time;
  }
  return out;
}

OrderedJson parts_view(const PricedPlan& one, const PricedPlan& other) {
  PartTimes of_one = part_times(one), of_other = part_times(other);
  for (const auto& [key, time] : of_one) of_other.try_emplace(key);
  OrderedJson out = OrderedJson::array();
  for (const auto& [key, time] : of_other) {
    const Milliseconds in_one = of_one[key];
    out.push_back({{"name", name_of(cost::StepPart{key.first, key.second, {}})},
                   {"one_ms", in_one.value},
                   {"one_text", to_text(in_one)},
                   {"other_ms", time.value},
                   {"other_text", to_text(time)}});
  }
  return out;
}

OrderedJson memory_of_rank(const std::optional<PricedPlan>& priced, int pp_rank) {
  if (!priced || pp_rank >= priced->plan.pipeline.degree) return nullptr;
  return amount(priced->cost.stages[static_cast<std::size_t>(pp_rank)].memory.total());
}

OrderedJson memories_view(const ComparedPlans& plans) {
  int degree = 0;
  for (const PlanAnswer* answer : {&plans.one, &plans.other}) {
    if (answer->priced) degree = std::max(degree, answer->priced->plan.pipeline.degree);
  }
  OrderedJson out = OrderedJson::array();
  for (int pp_rank = 0; pp_rank < degree; ++pp_rank) {
    out.push_back({{"pp_rank", pp_rank},
                   {"one", memory_of_rank(plans.one.priced, pp_rank)},
                   {"other", memory_of_rank(plans.other.priced, pp_rank)}});
  }
  return out;
}

std::vector<std::string> differing_fields(const plan::LayerStrategy& one,
                                          const plan::LayerStrategy& other) {
  std::vector<std::string> out;
  plan::for_each_field([&](const auto& field) {
    if (one.*field.member != other.*field.member) out.emplace_back(field.name);
  });
  return out;
}

OrderedJson layers_view(const ComparedPlans& plans, const spec::ModelSpec& model) {
  const plan::Plan &one = plans.one.asked.plan, &other = plans.other.asked.plan;
  const auto names = model.layer_names();
  OrderedJson out = OrderedJson::array();
  if (one.layers.size() != names.size() || other.layers.size() != names.size()) return out;
  for (const auto& run : planning::strategy_differences(one, other, names)) {
    out.push_back({{"layers", first_and_last(run.layers)},
                   {"name", run.name},
                   {"one", plan::to_text(run.one)},
                   {"other", plan::to_text(run.other)},
                   {"fields", differing_fields(run.one, run.other)}});
  }
  return out;
}

// Where one of them cannot be trained.
std::string problems(const ComparedPlans& plans) {
  std::string out;
  for (const PlanAnswer* answer : {&plans.one, &plans.other}) {
    if (!answer->problem) continue;
    out += (out.empty() ? "" : "; ") + answer->asked.name + ": " + answer->problem->sentence;
  }
  return out;
}

}  // namespace

ComparedPlans answer_both(const PlanQuestion& question, NamedPlan one, NamedPlan other) {
  ComparedPlans out{answer_plan(question, std::move(one)), {}};
  PlanQuestion same = question;
  if (out.one.priced) same.request = same_training(question.request, *out.one.priced);
  out.other = answer_plan(same, std::move(other));
  return out;
}

OrderedJson comparison_view(const ComparedPlans& plans, const spec::ModelSpec& model) {
  const auto &one = plans.one.priced, &other = plans.other.priced;
  const bool both = one && other;
  return {{"one", plan_view(plans.one, model)},
          {"other", plan_view(plans.other, model)},
          {"verdict", both ? verdict(*one, *other) : problems(plans)},
          {"text", both ? compare_plans(*one, *other) : ""},
          {"parts", both ? parts_view(*one, *other) : OrderedJson::array()},
          {"memory", memories_view(plans)},
          {"layers", layers_view(plans, model)}};
}

}  // namespace galvatron::views
