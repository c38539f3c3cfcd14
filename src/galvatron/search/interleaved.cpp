#include "galvatron/search/interleaved.h"

#include <algorithm>
#include <utility>

#include "galvatron/search/compute_bound.h"
#include "galvatron/search/found_plan.h"
#include "galvatron/search/interleaved_shape.h"
#include "galvatron/search/tolerance.h"

namespace galvatron::search {
namespace {

// Branches (a fraction of a microsecond each) that one shape may take, and all together.
constexpr std::int64_t kShapeWork = 200'000;
constexpr std::int64_t kTotalWork = 2'000'000;

// Computing alone, every layer at its fastest, without what the stages wait for.
double compute_bound_ms(const cost::CostInputs& inputs, const InterleavedBase& base,
                        const cost::PipelineShape& shape) {
  const int num_stages = shape.num_stages(), num_layers = inputs.model.num_layers();
  const double slowdown = compute_slowdown(inputs, shape);
  std::vector<cost::StageNumbers> stages(static_cast<std::size_t>(num_stages));
  for (int stage = 0; stage < num_stages; ++stage) {
    const Range layers = chunk(num_layers, num_stages, stage);
    for (std::int64_t i = layers.begin; i < layers.end; ++i) {
      const int type = inputs.model.layers[static_cast<std::size_t>(i)].type;
      // Forward and backward as one: max (f + b) is at most max f + max b.
      stages[static_cast<std::size_t>(stage)].forward_ms +=
          slowdown * base.fastest_compute[static_cast<std::size_t>(type)];
    }
  }
  return cost::pipeline_time_ms(shape, stages) * (1 - kRounding);
}

}  // namespace

InterleavedSearch::InterleavedSearch(const std::vector<InterleavedBase>& bases, InputsOf inputs_of,
                                     CandidatesOf candidates_of, std::int64_t budget)
    : bases_(bases),
      inputs_of_(std::move(inputs_of)),
      candidates_of_(std::move(candidates_of)),
      budget_(budget) {
  for (std::size_t i = 0; i < bases.size(); ++i) {
    const InterleavedBase& base = bases[i];
    if (base.pipeline.pp_degree == 1) continue;
    const cost::CostInputs inputs = inputs_of_(base.global_batch);
    Shape shape{i, base.pipeline, 0};
    shape.pipeline.schedule = plan::schedule_with(plan::ClosedForm::kSlowestOfEachChunk);
    const int num_layers = inputs.model.num_layers();
    std::int64_t smallest = num_layers;  // largest stage so far
    const int fewest = plan::traits(shape.pipeline.schedule).usual_stages_per_rank;
    for (int v = fewest; v * base.pipeline.pp_degree <= num_layers; ++v) {
      shape.pipeline.stages_per_rank = v;
      const std::int64_t largest = largest_chunk(num_layers, shape.pipeline.num_stages());
      if (v > fewest && largest == smallest) continue;
      smallest = largest;
      shape.bound =
          compute_bound_ms(inputs, base, shape.pipeline) / static_cast<double>(base.global_batch);
      shapes_.push_back(shape);
    }
  }
  std::stable_sort(shapes_.begin(), shapes_.end(),
                   [](const Shape& a, const Shape& b) { return a.bound < b.bound; });
}

InterleavedSearch::~InterleavedSearch() = default;

const cost::CostTables& InterleavedSearch::tables_of(const Shape& shape) {
  const InterleavedBase& base = bases_[shape.base];
  const cost::CostInputs inputs = inputs_of_(base.global_batch);
  const double slowdown = compute_slowdown(inputs, shape.pipeline);
  if (base.tables && slowdown == compute_slowdown(inputs, base.pipeline)) return *base.tables;
  auto [it, added] = made_.try_emplace({shape.base, slowdown});
  if (added) {
    it->second = cost::build_cost_tables(inputs, shape.pipeline,
                                         candidates_of_(shape.pipeline.ranks_per_stage));
  }
  return it->second;
}

std::vector<InterleavedPlan> InterleavedSearch::search(double cutoff, double slack) {
  std::vector<InterleavedPlan> plans;
  std::int64_t work = 0;
  for (const Shape& shape : shapes_) {
    if (shape.bound >= cutoff) break;
    ++num_opened_;
    if (work >= kTotalWork) {
      open_bound_ = std::min(open_bound_, shape.bound);
      ++num_given_up_;
      continue;
    }
    const auto samples = static_cast<double>(bases_[shape.base].global_batch);
    const cost::CostTables& tables = tables_of(shape);
    InterleavedShape one(tables, shape.pipeline, budget_);
    const std::vector<int> choice = one.solve(cutoff * samples, kShapeWork);
    work += one.work();
    if (!one.complete()) {
      ++num_given_up_;
      open_bound_ = std::min(open_bound_, std::max(shape.bound, one.lower_bound() / samples));
    }
    if (choice.empty()) continue;
    InterleavedPlan& plan = plans.emplace_back();
    plan.shape = shape.pipeline;
    plan.global_batch = bases_[shape.base].global_batch;
    plan.step_ms = one.step_ms();
    plan.layers = strategies(tables, choice);
    cutoff = std::min(cutoff, plan.ms_per_sample() * slack);
  }
  std::stable_sort(plans.begin(), plans.end(),
                   [](const InterleavedPlan& a, const InterleavedPlan& b) {
                     return a.ms_per_sample() < b.ms_per_sample();
                   });
  return plans;
}

std::optional<InterleavedMiss> InterleavedSearch::leanest(std::int64_t below) {
  InterleavedMiss least{below, {}, 1};
  for (const Shape& shape : shapes_) {
    InterleavedShape one(tables_of(shape), shape.pipeline, budget_);
    const std::int64_t bytes = one.least_bytes(least.bytes, kShapeWork);
    if (bytes >= least.bytes) continue;
    least = {bytes, shape.pipeline, bases_[shape.base].global_batch};
  }
  if (least.bytes >= below) return std::nullopt;
  return least;
}

}  // namespace galvatron::search
