// Two plans for one model on one machine, side by side: where they differ and what that costs.
#pragma once
#include <string>
#include <vector>

#include "galvatron/planning/plan_question.h"

namespace galvatron::planning {

// Neighbouring layers that differ alike between two plans.
struct StrategyDifference {
  Range layers;
  std::string name;  // "12 x block"
  plan::LayerStrategy one, other;
};
// REQUIRES: both are plans for a model of these layers.
std::vector<StrategyDifference> strategy_differences(const plan::Plan& one, const plan::Plan& other,
                                                     const std::vector<std::string>& layer_names);

// Tables of step time by part, memory by pipeline rank, strategies by layers; and a sentence that
// says who wins and why. REQUIRES: both were priced for the same model.
std::string compare_plans(const PricedPlan& one, const PricedPlan& other);

// The sentence alone. Plans of different batches are compared by the sample.
std::string verdict(const PricedPlan& one, const PricedPlan& other);

}  // namespace galvatron::planning
