// What the ranks write of a checkpoint: master weights and optimizer states, every element once.
// Ranks that own the same elements divide them evenly. An asynchronous save keeps a copy of its
// rank's share in the host's memory.
#pragma once
#include <vector>

#include "galvatron/base/units.h"
#include "galvatron/plan/plan.h"
#include "galvatron/spec/model_spec.h"
#include "galvatron/spec/optimizer_spec.h"

namespace galvatron::plan {

// Of the rank with most, for each pipeline rank. Padding of units counts.
std::vector<Bytes> checkpoint_shares(const spec::ModelSpec& model, const Plan& plan,
                                     const spec::OptimizerSpec& optimizer);

}  // namespace galvatron::plan
