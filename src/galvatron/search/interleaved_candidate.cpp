#include "galvatron/search/interleaved_candidate.h"

#include <algorithm>

#include "galvatron/base/partition.h"
#include "galvatron/plan/plan.h"
#include "galvatron/search/solvers/interleaved_solver.h"

namespace galvatron::search {
namespace {

// Branches that all enumerations of a search may take together.
constexpr std::int64_t kMostBranches = 2'000'000;

}  // namespace

InterleavedCandidate::InterleavedCandidate(std::shared_ptr<SharedPipeline> shared,
                                           const cost::PipelineShape& shape,
                                           std::vector<int> layers_per_stage)
    : ShapeCandidate(std::move(shared), shape),
      layers_per_stage_(std::move(layers_per_stage)),
      bound_(compute_bound()) {}

// Computing alone, every layer at its fastest, without what the stages wait for.
double InterleavedCandidate::compute_bound() const {
  const double slowdown = shared().slowdown(shape());
  std::vector<cost::StageNumbers> stages;
  std::size_t layer = 0;
  for (const int size : layers_per_stage_) {
    cost::StageNumbers& stage = stages.emplace_back();
    for (const std::size_t end = layer + static_cast<std::size_t>(size); layer < end; ++layer) {
      const int type = inputs().model().layers[layer].type;
      // Forward and backward as one: max (f + b) is at most max f + max b.
      stage.forward_ms += slowdown * shared().fastest_compute()[static_cast<std::size_t>(type)];
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
  InterleavedSolver solver(tables(), shape(), layers_per_stage_, budget());
  ShapeAnswer answer;
  answer.choice =
      solver.solve(effort.cutoff * shared().samples(), effort.branches, effort.interrupted);
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
  answer.layers_per_stage = layers_per_stage_;
  close_at(ms_per_sample(answer));
  return answer;
}

std::int64_t InterleavedCandidate::least_bytes_bound() {
  return InterleavedSolver(tables(), shape(), layers_per_stage_, budget()).least_bytes_bound();
}

std::int64_t InterleavedCandidate::least_bytes(std::int64_t below) {
  return InterleavedSolver(tables(), shape(), layers_per_stage_, budget())
      .least_bytes(below, kShapeBranches);
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

std::vector<int> stages_beside_ends(int num_layers, int num_stages) {
  const int num_blocks = num_layers - 2;
  if (num_blocks < num_stages || num_blocks % num_stages != 0) return {};
  std::vector<int> sizes(static_cast<std::size_t>(num_stages), num_blocks / num_stages);
  ++sizes.front();
  ++sizes.back();
  return sizes;
}

std::vector<std::vector<int>> interleaved_layouts(int num_layers, int pp_degree, int fewest) {
  std::vector<std::vector<int>> out;
  if (pp_degree == 1) return out;
  for (const int v : interleaved_stages_per_rank(num_layers, pp_degree, fewest)) {
    out.push_back(plan::even_stages(num_layers, v * pp_degree));
  }
  for (int v = fewest; v <= kMostBesideEnds; ++v) {
    std::vector<int> beside = stages_beside_ends(num_layers, v * pp_degree);
    if (!beside.empty()) out.push_back(std::move(beside));
  }
  return out;
}

}  // namespace galvatron::search
