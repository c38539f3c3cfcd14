#include "galvatron/search/shapes.h"

#include "galvatron/base/error.h"
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

// Of one stage per rank. 1F1B is never slower than GPipe in our model and keeps fewer microbatches.
std::optional<plan::ScheduleKind> plain_schedule(const SearchSpace& space) {
  for (const plan::ClosedForm form :
       {plan::ClosedForm::kSlowestStage, plan::ClosedForm::kSlowestPhases}) {
    const plan::ScheduleKind kind = plan::schedule_with(form);
    if (space.schedules.has(kind)) return kind;
  }
  return std::nullopt;
}

// All schedules of one batch on so many pipeline ranks and microbatches.
void add_schedules(SearchInputs& inputs, SharedPipelines& pipelines, cost::PipelineShape shape,
                   std::int64_t batch, Shapes& out) {
  const SearchSpace& space = inputs.options().space;
  const auto shared = pipelines.get(inputs, shape, batch);
  if (const auto kind = plain_schedule(space)) {
    shape.schedule = *kind;
    out.push_back(std::make_unique<UnevenCandidate>(shared, shape));
  }
  const auto interleaved = interleaved_schedule(space);
  if (!interleaved) return;
  shape.schedule = *interleaved;
  const int fewest = plan::traits(*interleaved).usual_stages_per_rank;
  for (const int v : interleaved_stages_per_rank(inputs.num_layers(), shape.pp_degree, fewest)) {
    shape.stages_per_rank = v;
    out.push_back(std::make_unique<InterleavedCandidate>(shared, shape));
  }
}

}  // namespace

Shapes make_shapes(SearchInputs& inputs, SharedPipelines& pipelines) {
  const SearchOptions& options = inputs.options();
  if (!plain_schedule(options.space) && !interleaved_schedule(options.space)) {
    throw ConfigError("[search] the constraints allow no schedule");
  }
  Shapes out;
  for (const std::int64_t batch : options.global_batches) {
    if (batch < 1) throw ConfigError("[search] --global-batch ", batch, " must be at least 1");
    const auto counts = microbatch_counts(options.space, batch);
    for (const int p : pipeline_degrees(options.space, options.world_size, inputs.num_layers())) {
      const int ranks = options.world_size / p;
      if (inputs.strategies(ranks).empty()) continue;
      for (const int m : counts) add_schedules(inputs, pipelines, {p, ranks, m}, batch, out);
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
