// Plan files as users have them: ours, or Galvatron-2's, told apart by what is in them.
#pragma once
#include <optional>
#include <string>

#include "galvatron/base/option.h"
#include "galvatron/plan/plan.h"
#include "galvatron/spec/model_overrides.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::galvatron2 {

// What a plan file may not say itself.
struct PlanFacts {
  std::string model;  // empty: the model that the plan names, where that is a preset
  spec::ModelOverrides overrides;
  int world_size = 0;                        // of Galvatron-2's plans, whose older files have none
  std::optional<spec::Precision> precision;  // of Galvatron-2's plans; unset: bf16
};
// `facts` must outlive the list.
OptionList plan_fact_options(PlanFacts& facts);

// ConfigError where no model is given and the plan names none that we know.
spec::ModelSpec model_of_plan(const std::string& path, const PlanFacts& facts);

bool is_galvatron2_plan(const Json& plan);

// ConfigError for a file that is no plan, or facts that contradict one of ours. Not yet checked
// against the model.
plan::Plan read_any_plan(const std::string& path, const spec::ModelSpec& model,
                         const PlanFacts& facts);
// The same of a file's content; `source` names it in errors.
plan::Plan any_plan_from_json(const Json& json, const std::string& source,
                              const spec::ModelSpec& model, const PlanFacts& facts);

}  // namespace galvatron::galvatron2
