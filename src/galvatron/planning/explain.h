// Why a search found what it found, in plain words and as JSON: what binds, what better parts of
// the machine would give, what the runners-up lose, the certificate, and what its space leaves out.
#pragma once
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/cost/step_parts.h"
#include "galvatron/planning/search_request.h"
#include "galvatron/planning/shadow_prices.h"

namespace galvatron::planning {

// What one plan has more of than the best one, for as many samples as the best one's step has.
struct RunnerUpLoss {
  Milliseconds more;                  // of a step
  std::vector<cost::StepPart> parts;  // that differ, the largest difference first; negative: less
  std::int64_t more_bytes = 0;        // on the fullest device
};

// One for each runner-up. REQUIRES: as explain().
std::vector<RunnerUpLoss> runner_up_losses(const PreparedSearch& prepared,
                                           const search::SearchResult& result);

// "+1.20 % (2 stages, 8 microbatches): 12.1 ms more per step, 1.00 GiB less memory". `result` has
// runner-ups; `index` is of one of them.
std::string loss_line(const RunnerUpLoss& loss, const search::SearchResult& result,
                      std::size_t index);

struct Explanation {
  int fullest_stage = 0;
  std::vector<cost::StepPart> parts;  // of the plan's step, the longest first
  std::vector<ShadowPrice> prices;
  std::vector<RunnerUpLoss> losses;  // one for each runner-up
  std::vector<std::string> left_out;
};

// REQUIRES: `result` is what prepared.run() found, and it found a plan. Searches again, once for
// each shadow price.
Explanation explain(const PreparedSearch& prepared, const search::SearchResult& result);

// "memory and the network between nodes bind: ...", one sentence.
std::string what_binds(const Explanation& explanation);

std::string to_text(const Explanation& explanation, const search::SearchResult& result,
                    Bytes memory);

// {"binds", "fullest_stage", "step_parts", "shadow_prices", "runners_up", "left_out"}
OrderedJson explanation_to_json(const Explanation& explanation);

}  // namespace galvatron::planning
