// What one more of something would give: the same question searched again with one thing better.
#pragma once
#include <string>
#include <vector>

#include "galvatron/planning/search_request.h"

namespace galvatron::planning {

struct ShadowPrice {
  std::string change;  // "1 GiB more memory"
  search::FoundPlan found;
  double gain = 0;         // samples/s over those of the plan that was found before, less 1
  bool same_plan = false;  // as before
};

// Of what the machine has: one GiB of memory, any amount of it, twice the bandwidth between nodes,
// twice that inside them. `best`: what prepared.run() found by the formula, which all of it is
// compared by; nothing found is slower. Each search
// keeps to the options, a time limit among them.
std::vector<ShadowPrice> shadow_prices(const PreparedSearch& prepared,
                                       const search::FoundPlan& best);

// What people read of it: what is better, the step, the gain, the memory, the plan.
struct ShadowPriceTexts {
  std::string change, step, gain, memory, plan;
};
ShadowPriceTexts texts_of(const ShadowPrice& price);

// One row each.
std::string to_text(const std::vector<ShadowPrice>& prices);

}  // namespace galvatron::planning
