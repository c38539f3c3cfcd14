#include "galvatron/search/shapes.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/base/partition.h"
#include "galvatron/search/interleaved_candidate.h"
#include "galvatron/search/uneven_candidate.h"

namespace galvatron::search {
namespace {

using Shapes = std::vector<std::unique_ptr<ShapeCandidate>>;

// Several stages per rank, TP on neighbours.
std::optional<plan::ScheduleKind> interleaved_schedule(const SearchSpace& space) {
  const plan::ScheduleKind kind = plan::schedule_with(plan::ClosedForm::kSlowestOfEachChunk);
  const bool allowed =
      space.schedules.has(kind) && space.allows(&plan::LayerStrategy::tp_consecutive, true);
  return allowed ? std::optional(kind) : std::nullopt;
}

// Of one stage per rank: 1F1B, which keeps fewer microbatches, and GPipe, which hides transfers.
std::vector<plan::ScheduleKind> plain_schedules(const SearchSpace& space) {
  std::vector<plan::ScheduleKind> out;
  for (const plan::ClosedForm form :
       {plan::ClosedForm::kSlowestStage, plan::ClosedForm::kSlowestPhases}) {
    const plan::ScheduleKind kind = plan::schedule_with(form);
    if (space.schedules.has(kind)) out.push_back(kind);
  }
  return out;
}

// All schedules of one batch on so many pipeline ranks and microbatches.
void add_schedules(SearchInputs& inputs, SharedPipelines& pipelines, cost::PipelineShape shape,
                   std::int64_t batch, Shapes& out) {
  const SearchSpace& space = inputs.options().space;
  const auto shared = pipelines.get(inputs, shape, batch);
  // Of one stage or one microbatch all are the same.
  const bool alike = shape.pp_degree == 1 || shape.num_microbatches == 1;
  for (const plan::ScheduleKind kind : plain_schedules(space)) {
    shape.schedule = kind;
    out.push_back(std::make_unique<UnevenCandidate>(shared, shape));
    if (alike) break;
  }
  const auto interleaved = interleaved_schedule(space);
  if (!interleaved) return;
  shape.schedule = *interleaved;
  const int fewest = plan::traits(*interleaved).usual_stages_per_rank;
  for (std::vector<int>& layout :
       interleaved_layouts(inputs.num_layers(), shape.pp_degree, fewest)) {
    shape.stages_per_rank = static_cast<int>(layout.size()) / shape.pp_degree;
    out.push_back(std::make_unique<InterleavedCandidate>(shared, shape, std::move(layout)));
  }
}

// Can so many samples in a microbatch fit, all layers in the memory of all ranks? Of a pipeline of
// whatever schedule: all have one microbatch in flight everywhere at some moment.
bool may_fit(SearchInputs& inputs, int pp_degree, std::int64_t samples) {
  const cost::PipelineShape shape{pp_degree, inputs.options().world_size / pp_degree, 2};
  SharedPipeline shared(inputs, shape, 2 * samples);
  const cost::CostTables& tables = shared.tables(shape);
  const ShapeQuestion question(tables, inputs.ranges(), tied_groups(tables),
                               {inputs.options().memory.value, true});
  return ShapeSolver(question, -1).lower_bound() < kInfinity;
}

// Activations never fall with the samples (profiles::Curve), and nothing else of that bound depends
// on them.
std::int64_t largest_microbatch(SearchInputs& inputs, int pp_degree, std::int64_t most) {
  std::int64_t fits = 0, beyond = most + 1;
  while (beyond - fits > 1) {
    const std::int64_t middle = fits + (beyond - fits) / 2;
    (may_fit(inputs, pp_degree, middle) ? fits : beyond) = middle;
  }
  return fits;
}

// Microbatch counts of each batch.
std::vector<std::vector<int>> counts_of_batches(const SearchOptions& options) {
  constexpr std::int64_t kMost = 1'000'000;  // samples; larger steps are slips of the pen
  std::vector<std::vector<int>> out;
  for (const std::int64_t batch : options.global_batches) {
    if (batch < 1) throw ConfigError("[search] --global-batch ", batch, " must be at least 1");
    if (batch > kMost) {
      throw ConfigError("[search] --global-batch ", batch, " must be at most ", kMost);
    }
    out.push_back(microbatch_counts(options.space, batch));
  }
  return out;
}

// Of some pipeline degree and batch: those whose microbatches may fit, and the largest.
std::vector<int> small_enough(const std::vector<int>& counts, std::int64_t batch,
                              std::int64_t samples) {
  std::vector<int> out;
  for (const int count : counts) {
    if (count == 1 || largest_chunk(batch, count) <= samples || count == counts.back()) {
      out.push_back(count);
    }
  }
  return out;
}

}  // namespace

Shapes make_shapes(SearchInputs& inputs, SharedPipelines& pipelines, std::int64_t* too_large) {
  // From so many on it pays to ask first how large a microbatch can be.
  constexpr std::size_t kMany = 5000;
  const SearchOptions& options = inputs.options();
  if (plain_schedules(options.space).empty() && !interleaved_schedule(options.space)) {
    throw ConfigError("[search] the constraints allow no schedule");
  }
  const std::vector<int> degrees =
      pipeline_degrees(options.space, options.world_size, inputs.num_layers());
  const std::vector<std::vector<int>> counts = counts_of_batches(options);
  std::size_t all = 0;
  for (const auto& row : counts) all += row.size() * degrees.size();
  const std::int64_t largest_batch =
      *std::max_element(options.global_batches.begin(), options.global_batches.end());
  Shapes out;
  std::vector<std::int64_t> at_most;  // samples in a microbatch, by degree
  for (const int p : degrees) {
    const bool has_plans = !inputs.strategies(options.world_size / p).empty();
    at_most.push_back(has_plans && all > kMany ? largest_microbatch(inputs, p, largest_batch)
                                               : largest_batch);
  }
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::int64_t batch = options.global_batches[i];
    for (std::size_t d = 0; d < degrees.size(); ++d) {
      const int ranks = options.world_size / degrees[d];
      if (inputs.strategies(ranks).empty()) continue;
      const std::vector<int> useful = small_enough(counts[i], batch, at_most[d]);
      if (too_large) *too_large += static_cast<std::int64_t>(counts[i].size() - useful.size());
      for (const int m : useful)
        add_schedules(inputs, pipelines, {degrees[d], ranks, m}, batch, out);
    }
  }
  if (out.empty()) {
    throw ConfigError("[search] the constraints leave no plan for ", options.world_size,
                      " ranks: no pipeline degree, microbatch count and degrees that every layer "
                      "allows go together");
  }
  return out;
}

}  // namespace galvatron::search
