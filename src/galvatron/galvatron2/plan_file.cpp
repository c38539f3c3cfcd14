#include "galvatron/galvatron2/plan_file.h"

#include "galvatron/base/error.h"
#include "galvatron/galvatron2/plan.h"
#include "galvatron/spec/presets.h"

namespace galvatron::galvatron2 {
namespace {

// Theirs are of GPUs.
constexpr spec::Precision kPrecisionOfTheirs = spec::Precision::kBf16;

plan::Plan read_ours(const Json& json, const std::string& source, const PlanFacts& facts) {
  plan::Plan plan = plan::plan_from_json(json, source);
  if (facts.precision && *facts.precision != plan.precision) {
    throw ConfigError("[plan] --precision ", spec::to_text(*facts.precision), ", but ", source,
                      " says ", spec::to_text(plan.precision),
                      " itself: the option is for Galvatron-2's plans, which say none");
  }
  if (facts.world_size > 0 && facts.world_size != plan.world_size) {
    throw ConfigError("[plan] --world-size ", facts.world_size, ", but ", source,
                      " is for world_size ", plan.world_size);
  }
  return plan;
}

}  // namespace

OptionList plan_fact_options(PlanFacts& facts) {
  OptionList list;
  list.group("Input");
  list.text(
      "model", facts.model,
      "Preset name, config.json or folder; default: what the plan names, if that is a preset");
  list.count("world-size", facts.world_size, {0, plan::kMaxRanks},
             "Ranks of a Galvatron-2 plan that does not say them");
  list.choice("precision", facts.precision,
              "Of a Galvatron-2 plan, which does not say it; default: bf16");
  list.append(spec::model_override_options(facts.overrides));
  return list;
}

bool is_galvatron2_plan(const Json& plan) {
  if (!plan.is_object() || plan.contains("format")) return false;
  return (plan.contains("pp_deg") && plan.contains("tp_sizes_enc")) || has_later_names(plan);
}

spec::ModelSpec model_of_plan(const std::string& path, const PlanFacts& facts) {
  if (!facts.model.empty()) return spec::load_model(facts.model, facts.overrides);
  const Json json = read_json_file(path);
  if (is_galvatron2_plan(json)) {
    throw ConfigError("[plan] --model is missing: ", path,
                      " is a plan of Galvatron-2's, which names none");
  }
  const std::string model = plan::plan_from_json(json, path).model;
  if (!spec::is_preset(model)) {
    throw ConfigError(
        "[plan] --model is missing: ", path,
        model.empty() ? " names none" : " is for '" + model + "', which is no preset");
  }
  return spec::load_model(model, facts.overrides);
}

plan::Plan read_any_plan(const std::string& path, const spec::ModelSpec& model,
                         const PlanFacts& facts) {
  return any_plan_from_json(read_json_file(path), path, model, facts);
}

plan::Plan any_plan_from_json(const Json& json, const std::string& source,
                              const spec::ModelSpec& model, const PlanFacts& facts) {
  if (!is_galvatron2_plan(json)) return read_ours(json, source, facts);
  return to_our_plan(plan_from_json(json, source, facts.world_size), model.name,
                     facts.precision.value_or(kPrecisionOfTheirs));
}

}  // namespace galvatron::galvatron2
