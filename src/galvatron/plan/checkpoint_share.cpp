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
  const auto bytes_per_weight =
      static_cast<std::int64_t>(1 + optimizer.states.size()) * spec::state_bytes(plan.precision);
  std::vector<Bytes> out;
  for (int pp_rank = 0; pp_rank < plan.pipeline.degree; ++pp_rank) {
    std::int64_t weights = 0;
    for (const RankUnit& unit : rank_units(model, plan, pp_rank)) {
      if (!writes(model, plan, pp_rank, unit)) continue;
      weights += (unit.spec.elements + unit.spec.replicas.size - 1) / unit.spec.replicas.size;
    }
    out.push_back({weights * bytes_per_weight});
  }
  return out;
}

}  // namespace galvatron::plan
