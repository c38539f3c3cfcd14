// The plans that take part: uniform ones, what the search finds under several budgets, and random
// mixes.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "galvatron/cost/cost_model.h"
#include "galvatron/cost/plan_cost.h"
#include "galvatron/plan/plan.h"

namespace galvatron::bench {

struct Contender {
  std::string origin;  // "uniform", "search", "random", "plain", "plain again"
  plan::Plan plan;
  cost::PlanCost predicted;
};

// A device's memory, reserve included, and the plan that the search takes for it.
struct Budget {
  Bytes memory;
  std::string searched;  // name() of the plan
};

struct Contenders {
  // The first is plain data parallelism in one microbatch, against which all are measured, the
  // second the same again: how far a plan is from itself.
  std::vector<Contender> plans;
  std::vector<Budget> budgets;  // descending
};

struct ContenderCounts {
  int uniform = 40;
  int searched = 20;  // of all budgets together
  int random = 20;
  std::uint64_t seed = 1;
};

// The same on every rank. No plan twice but the first.
Contenders choose_contenders(const cost::CostInputs& inputs, const ContenderCounts& counts);

// "1F1B pp2 m4: 8 x block tp2 | head", the same for plans that are alike.
std::string name(const plan::Plan& plan);

}  // namespace galvatron::bench
