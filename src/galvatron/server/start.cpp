#include "galvatron/server/start.h"

#include <array>
#include <string>

#include <fmt/format.h>

#include "galvatron/base/option.h"
#include "galvatron/plan/plan.h"
#include "galvatron/planning/frontier.h"
#include "galvatron/planning/plan_question.h"
#include "galvatron/planning/sweep.h"
#include "galvatron/profiles/cluster_text.h"
#include "galvatron/profiles/device.h"
#include "galvatron/server/questions.h"
#include "galvatron/spec/model_table.h"
#include "galvatron/spec/presets.h"

namespace galvatron::server {
namespace {

OrderedJson model_rows() {
  OrderedJson out = OrderedJson::array();
  for (const spec::ModelSpec& model : spec::load_presets()) {
    const OrderedJson numbers = spec::model_to_json(model);
    const auto num_params = static_cast<double>(model.num_params());
    out.push_back({{"name", model.name},
                   {"family", numbers["family"]},
                   {"num_params", numbers["num_params"]},
                   {"params_text", amount_text(num_params)},
                   {"num_layers", numbers["num_layers"]},
                   {"hidden_size", numbers["hidden_size"]},
                   {"seq_length", planning::usual_seq_length(model)}});
  }
  return out;
}

OrderedJson cluster_row(const std::string& name, const profiles::Cluster& cluster, bool is_device) {
  return {{"name", name},
          {"is_device", is_device},
          {"device", cluster.spec.device},
          {"world_size", cluster.spec.world_size()},
          {"memory_bytes", cluster.spec.device_memory.value},
          {"text", profiles::to_text(cluster)}};
}

OrderedJson cluster_rows() {
  OrderedJson out = OrderedJson::array();
  for (const std::string& name : profiles::cluster_names()) {
    out.push_back(cluster_row(name, profiles::cluster_from_name(name), false));
  }
  for (const profiles::Device& device : profiles::named_devices()) {
    out.push_back(cluster_row(device.name, device.node, true));
  }
  return out;
}

// One entry per choice of "gpipe|1f1b".
OrderedJson option_row(const OrderedJson& described, const Option& option) {
  OrderedJson out = {{"name", described["name"]},
                     {"type", described["type"]},
                     {"default", described["default"]},
                     {"help", in_request_words(option.help)},
                     {"group", option.group}};
  if (option.kind == OptionKind::kChoice) {
    out["choices"] = split_list(option.placeholder, '|');
  } else if (!option.placeholder.empty()) {
    out["placeholder"] = option.placeholder;
  }
  return out;
}

OrderedJson option_rows(const OptionList& options) {
  const OrderedJson described = options.describe();
  OrderedJson out = OrderedJson::array();
  for (std::size_t i = 0; i < described.size(); ++i) {
    out.push_back(option_row(described[i], options.all()[i]));
  }
  return out;
}

OptionList with_model(OptionList more) {
  static spec::ModelOverrides overrides;
  OptionList out = spec::model_override_options(overrides);
  out.append(more);
  return out;
}

OrderedJson options() {
  planning::SearchRequest search;
  planning::PlanQuestionRequest plan;
  planning::FrontierRequest frontier;
  planning::SweepRequest sweep;
  return {{"search", option_rows(with_model(planning::search_options(search)))},
          {"simulate", option_rows(with_model(planning::plan_question_options(plan)))},
          {"frontier", option_rows(planning::frontier_options(frontier))},
          {"sweep", option_rows(planning::sweep_options(sweep).without({"hardware", "profile"}))}};
}

// What a field may be: the names of an enum, the numbers of a short range; null: any number.
OrderedJson choices_of(const OrderedJson& field) {
  constexpr std::int64_t kFew = 16;
  if (field.contains("choices")) return field["choices"];
  if (field["default"].is_boolean()) return OrderedJson::array({false, true});
  const auto least = field["least"].get<std::int64_t>(), most = field["most"].get<std::int64_t>();
  if (most - least > kFew) return nullptr;
  OrderedJson out = OrderedJson::array();
  for (std::int64_t value = least; value <= most; ++value) out.push_back(value);
  return out;
}

// By value the kinds of layers that cannot have it.
template <typename T>
OrderedJson misfits_of(const plan::StrategyField<T>& field) {
  using spec::LayerKind;
  OrderedJson out = OrderedJson::object();
  if constexpr (NamedEnum<T>) {
    for (const T value : enum_values<T>()) {
      for (const LayerKind kind :
           {LayerKind::kEmbedding, LayerKind::kBlock, LayerKind::kMerge, LayerKind::kHead}) {
        if (!field.fits(kind, value)) out[plan::value_text(value)].push_back(spec::to_text(kind));
      }
    }
  }
  return out;
}

OrderedJson misfits() {
  OrderedJson out = OrderedJson::object();
  plan::for_each_field([&](const auto& field) { out[field.name] = misfits_of(field); });
  return out;
}

OrderedJson strategy_fields() {
  const OrderedJson kinds = misfits();
  OrderedJson out = OrderedJson::array();
  for (const OrderedJson& field : plan::strategy_fields_to_json()) {
    out.push_back({{"name", field["name"]},
                   {"default", field["default"]},
                   {"help", field["help"]},
                   {"choices", choices_of(field)},
                   {"misfits", kinds[field["name"].get<std::string>()]},
                   {"supported", field["supported"]}});
  }
  return out;
}

OrderedJson schedules() {
  OrderedJson out = OrderedJson::array();
  for (const std::string& name : plan::schedule_names()) {
    out.push_back({{"name", name}, {"help", plan::traits(plan::parse_schedule(name)).help}});
  }
  return out;
}

}  // namespace

OrderedJson known_names() {
  return {{"models", model_rows()},
          {"clusters", cluster_rows()},
          {"options", options()},
          {"strategy_fields", strategy_fields()},
          {"schedules", schedules()}};
}

}  // namespace galvatron::server
