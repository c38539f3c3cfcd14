#include "galvatron/plan/checkpoint_share.h"

#include "galvatron/plan/rank_parts.h"

namespace galvatron::plan {
namespace {

// Of tied copies on several pipeline ranks the first writes.
bool writes(const spec::ModelSpec& model, const Plan& plan, int pp_rank, const RankUnit& unit) {
  if (!unit.spec.has_twins) return true;
  const int rank = pp_rank * plan.ranks_per_stage();
  return tie_ranks(model, plan, unit.spec.tied_name, unit.layer, rank).front() == rank;
}

}  // namespace

std::vector<Bytes> checkpoint_shares(const spec::ModelSpec& model, const Plan& plan,
                                     const spec::OptimizerSpec& optimizer) {
  std::vector<Bytes> out;
  for (int pp_rank = 0; pp_rank < plan.pipeline.degree; ++pp_rank) {
    std::int64_t elements = 0;
    for (const RankUnit& unit : rank_units(model, plan, pp_rank)) {
      if (!writes(model, plan, pp_rank, unit)) continue;
      const std::int64_t ranks = unit.spec.replicas.size,
                         all = unit.spec.elements + unit.spec.state_elements(optimizer, 1);
      elements += (all + ranks - 1) / ranks;
    }
    out.push_back({elements * spec::state_bytes(plan.precision)});
  }
  return out;
}

}  // namespace galvatron::plan
