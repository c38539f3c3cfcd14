#include "galvatron/search/interleaved_candidate.h"

#include <algorithm>

#include "galvatron/base/partition.h"
#include "galvatron/plan/plan.h"
#include "galvatron/search/solvers/interleaved_solver.h"

namespace galvatron::search {
namespace {

// Branches that one shape may take, and all together.
constexpr std::int64_t kShapeBranches = 200'000;
constexpr std::int64_t kMostBranches = 2'000'000;

}  // namespace

InterleavedCandidate::InterleavedCandidate(std::shared_ptr<SharedPipeline> shared,
                                           const cost::PipelineShape& shape)
    : ShapeCandidate(std::move(shared), shape), bound_(compute_bound()) {}

// Computing alone, every layer at its fastest, without what the stages wait for.
double InterleavedCandidate::compute_bound() const {
  const int num_stages = shape().num_stages();
  const double slowdown = shared().slowdown(shape());
  std::vector<cost::StageNumbers> stages(static_cast<std::size_t>(num_stages));
  for (int stage = 0; stage < num_stages; ++stage) {
    const Range layers = chunk(inputs().num_layers(), num_stages, stage);
    for (std::int64_t i = layers.begin; i < layers.end; ++i) {
      const int type = inputs().model().layers[static_cast<std::size_t>(i)].type;
      // Forward and backward as one: max (f + b) is at most max f + max b.
      stages[static_cast<std::size_t>(stage)].forward_ms +=
          slowdown * shared().fastest_compute()[static_cast<std::size_t>(type)];
    }
  }
  return cost::pipeline_time_ms(shape(), stages) * (1 - kRounding) / shared().samples();
}

void InterleavedCandidate::give_up(double bound) {
  become(Outcome::kGivenUp);
  close_at(bound);
}

std::optional<ShapeAnswer> InterleavedCandidate::advance(const Effort& effort, SearchWork& spent) {
  const double bound = std::exchange(bound_, kInfinity);
  if (spent.branches >= kMostBranches) {
    give_up(bound);
    return std::nullopt;
  }
  become(Outcome::kLookedInto);
  InterleavedSolver solver(tables(), shape(), budget());
  ShapeAnswer answer;
  answer.choice =
      solver.solve(effort.cutoff * shared().samples(), kShapeBranches, effort.interrupted);
  spent.branches += solver.work();
  if (!solver.complete()) {
    const double raised = std::max(bound, solver.lower_bound() / shared().samples());
    if (effort.is_over()) {
      bound_ = raised;
    } else {
      give_up(raised);
    }
  }
  if (!answer.found()) return std::nullopt;
  answer.step_ms = solver.step_ms();
  answer.layers_per_stage = plan::even_stages(inputs().num_layers(), shape().num_stages());
  close_at(ms_per_sample(answer));
  return answer;
}

std::int64_t InterleavedCandidate::least_bytes_bound() {
  return InterleavedSolver(tables(), shape(), budget()).least_bytes_bound();
}

std::int64_t InterleavedCandidate::least_bytes(std::int64_t below) {
  return InterleavedSolver(tables(), shape(), budget()).least_bytes(below, kShapeBranches);
}

std::vector<int> interleaved_stages_per_rank(int num_layers, int pp_degree, int fewest) {
  std::vector<int> out;
  if (pp_degree == 1) return out;
  const int most = num_layers / pp_degree;
  const auto largest = [&](int v) { return largest_chunk(num_layers, v * pp_degree); };
  for (int v = fewest; v <= most; ++v) {
    const bool begins = v == fewest || largest(v - 1) != largest(v);
    const bool ends = v == most || largest(v + 1) != largest(v);
    if (begins || ends) out.push_back(v);
  }
  return out;
}

}  // namespace galvatron::search
