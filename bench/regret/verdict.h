// What measurements say of predictions.
#pragma once
#include <string>
#include <utility>

#include "galvatron/base/json.h"

#include "regret/contenders.h"
#include "regret/turns.h"

namespace galvatron::bench {

// Table of all plans, then the figures: relative time error, pairs in the right order, regret of
// the searched plans, memory, and how far the first plan is from itself. `reserve`: of the hardware
// profile, which no tensor is.
std::string verdict_text(const Contenders& contenders, const std::vector<Measured>& measured,
                         Bytes reserve);
OrderedJson verdict_json(const Contenders& contenders, const std::vector<Measured>& measured,
                         Bytes reserve);

// The plans and measurements that verdict_json() wrote, predicted anew.
std::pair<Contenders, std::vector<Measured>> from_verdict_json(const Json& verdict,
                                                               const cost::CostInputs& inputs);

}  // namespace galvatron::bench
