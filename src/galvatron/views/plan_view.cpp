#include "galvatron/views/plan_view.h"

#include <algorithm>
#include <vector>

#include "galvatron/planning/plan_drawing.h"
#include "galvatron/views/amounts.h"
#include "galvatron/views/priced_view.h"

namespace galvatron::views {
namespace {

// Layers of each stage, as far as the plan has them.
std::vector<Range> stage_layers(const plan::Plan& plan) {
  const auto count = static_cast<std::int64_t>(plan.layers.size());
  std::vector<Range> out;
  std::int64_t begin = 0;
  for (const int size : plan.pipeline.layers_per_stage) {
    const std::int64_t end = std::min(begin + size, count);
    if (end > begin) out.push_back({begin, end});
    begin = end;
  }
  return out;
}

// Of any plan: 1 where ranks cannot be divided so.
int dp_degree(const plan::Plan& plan, const plan::LayerStrategy& strategy) {
  const std::int64_t ranks = plan.world_size / std::max(1, plan.pipeline.degree);
  std::int64_t ways = 1;  // of a strategy that nobody has checked: beyond an int
  plan::for_each_field([&](const auto& field) {
    if (field.splits_sequence) ways *= static_cast<int>(strategy.*field.member);
  });
  return static_cast<int>(std::max<std::int64_t>(1, ranks / std::max<std::int64_t>(1, ways)));
}

// The plan's groups, one for each layer. Of its search section stays what it is a plan for.
OrderedJson plan_by_layer(const plan::Plan& plan) {
  OrderedJson out = plan_to_json(plan);
  OrderedJson layers = OrderedJson::array();
  for (OrderedJson group : out["layers"]) {
    const int count = group["count"];
    group["count"] = 1;
    for (int i = 0; i < count; ++i) layers.push_back(group);
  }
  out["layers"] = std::move(layers);
  const OrderedJson& search = plan.search;
  out.erase("search");
  if (search.is_object() && search.contains("question")) {
    out["search"] = {{"question", search["question"]}};
  }
  return out;
}

OrderedJson default_strategy() {
  OrderedJson out;
  for (const OrderedJson& field : plan::strategy_fields_to_json()) {
    out[field["name"].get<std::string>()] = field["default"];
  }
  return out;
}

OrderedJson layers_view(const plan::Plan& plan, const OrderedJson& groups,
                        const spec::ModelSpec& model, const std::vector<Range>& stages) {
  const OrderedJson defaults = default_strategy();
  OrderedJson out = OrderedJson::array();
  std::size_t stage = 0;
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    while (stage + 1 < stages.size() && static_cast<std::int64_t>(i) >= stages[stage].end) ++stage;
    OrderedJson strategy = defaults;
    strategy.update(groups[i]);
    strategy.erase("count");
    const bool known = i < model.layers.size();
    out.push_back({{"index", i},
                   {"kind", known ? spec::to_text(model.layers[i].kind) : ""},
                   {"stage", stage},
                   {"strategy", std::move(strategy)},
                   {"strategy_text", plan::to_text(plan.layers[i])},
                   {"dp_degree", dp_degree(plan, plan.layers[i])},
                   {"num_params", known ? model.layers[i].num_params() : 0}});
  }
  return out;
}

OrderedJson stages_view(const plan::Plan& plan, const std::vector<Range>& stages) {
  const int degree = std::max(1, plan.pipeline.degree);
  const int ranks = plan.world_size / degree;
  OrderedJson out = OrderedJson::array();
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const int stage = static_cast<int>(i), pp_rank = stage % degree;
    const std::int64_t first = std::int64_t{ranks} * pp_rank;
    out.push_back({{"stage", stage},
                   {"pp_rank", pp_rank},
                   {"chunk", stage / degree},
                   {"layers", first_and_last(stages[i])},
                   {"ranks", first_and_last({first, first + std::max(1, ranks)})}});
  }
  return out;
}

OrderedJson problem_view(const std::optional<plan::PlanProblem>& problem) {
  if (!problem) return nullptr;
  OrderedJson out = {{"sentence", problem->sentence}, {"layer", nullptr}};
  if (problem->layer) out["layer"] = *problem->layer;
  out["field"] = text_or_null(problem->field);
  return out;
}

std::string drawing(const planning::PricedPlan& priced) {
  return planning::draw_plan(priced.plan, priced.question.model.layer_names(), priced.cost.timeline,
                             "as predicted");
}

}  // namespace

OrderedJson plan_outline(const plan::Plan& plan, const spec::ModelSpec& model) {
  OrderedJson by_layer = plan_by_layer(plan);
  const std::vector<Range> stages = stage_layers(plan);
  OrderedJson layers = layers_view(plan, by_layer["layers"], model, stages);
  return {{"plan", std::move(by_layer)},
          {"layers", std::move(layers)},
          {"stages", stages_view(plan, stages)},
          {"ranks",
           {{"world_size", plan.world_size},
            {"per_stage", plan.world_size / std::max(1, plan.pipeline.degree)},
            {"per_node", nullptr}}}};
}

OrderedJson plan_view(const PlanAnswer& answer, const spec::ModelSpec& model) {
  OrderedJson out = {{"name", answer.asked.name}};
  out.update(plan_outline(answer.asked.plan, model));
  out["problem"] = problem_view(answer.problem);
  out["priced"] = nullptr;
  out["drawing"] = "";
  if (!answer.priced) return out;
  out["ranks"]["per_node"] = answer.priced->question.hardware.ranks_per_node;
  out["priced"] = priced_view(*answer.priced);
  out["drawing"] = drawing(*answer.priced);
  return out;
}

}  // namespace galvatron::views
