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
  const std::int64_t element = spec::state_bytes(plan.precision);
  std::vector<Bytes> out;
  for (int pp_rank = 0; pp_rank < plan.pipeline.degree; ++pp_rank) {
    std::int64_t bytes = 0;
    for (const RankUnit& unit : rank_units(model, plan, pp_rank)) {
      if (!writes(model, plan, pp_rank, unit)) continue;
      const std::int64_t ranks = unit.spec.replicas.size,
                         weights = (unit.spec.elements + ranks - 1) / ranks;
      bytes += weights * element +
               optimizer.state_bytes(weights, unit.spec.matrix_elements / ranks, element);
    }
    out.push_back({bytes});
  }
  return out;
}

}  // namespace galvatron::plan
