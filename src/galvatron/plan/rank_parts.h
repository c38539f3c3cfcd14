// What a pipeline rank holds of a plan, as the passes over its steps number it: the executor runs
// the lists that follow, the cost model times the same ones.
#pragma once
#include <string>
#include <vector>

#include "galvatron/plan/check_schedule.h"
#include "galvatron/plan/param_units.h"

namespace galvatron::plan {

// A parameter unit of a pipeline rank.
struct RankUnit {
  int layer = 0;  // that holds it: the first of the rank that uses it
  UnitSpec spec;  // there
  std::vector<int> used_by;
};

// In the order of the rank's layers, what they share once. Step::unit is the index.
std::vector<RankUnit> rank_units(const spec::ModelSpec& model, const Plan& plan, int pp_rank);

// `units`: rank_units(). A rank that does not train needs the parameters of its loss in its
// forward.
RankParts rank_parts(const spec::ModelSpec& model, const Plan& plan, int pp_rank,
                     const std::vector<RankUnit>& units, bool trains = true);

// What each pipeline rank runs in a step, and what check_schedule() judges that by.
struct LoweredPlan {
  std::vector<std::vector<Step>> lists;
  ScheduleContext context;
};
// `units`: of each pipeline rank.
LoweredPlan lower(const spec::ModelSpec& model, const Plan& plan,
                  const std::vector<std::vector<RankUnit>>& units);

}  // namespace galvatron::plan
