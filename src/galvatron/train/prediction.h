// What a plan's `search` section foretold, to stand beside the measurement. The section is free:
// what is not there, or has another shape, is left out.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/units.h"
#include "galvatron/plan/plan.h"

namespace galvatron::train {

struct Prediction {
  std::optional<Milliseconds> step_time;
  std::vector<Bytes> rank_memory;  // per pipeline rank: tensors of its fullest rank, without the
                                   // reserve; empty when unknown
};

// Reads cost's plan_cost_to_json(), at the top of the section or under "prediction", "predicted" or
// "cost".
Prediction read_prediction(const plan::Plan& plan);

}  // namespace galvatron::train
