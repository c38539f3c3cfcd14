#include "galvatron/search/shared_pipeline.h"

#include <algorithm>

#include "galvatron/search/dominated.h"
#include "galvatron/search/placement.h"
#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::search {
namespace {

std::vector<double> fastest_of_types(const cost::CostInputs& inputs,
                                     const cost::PipelineShape& shape,
                                     const SearchInputs::Strategies& strategies) {
  const cost::MicrobatchSizes sizes =
      cost::microbatch_sizes(inputs.job.global_batch, shape.num_microbatches);
  std::vector<double> fastest(strategies.size(), kInfinity);
  for (std::size_t type = 0; type < strategies.size(); ++type) {
    const int layer = inputs.model.first_layer_of_type(static_cast<int>(type));
    const plan::LayerStrategy* last = nullptr;
    for (const plan::LayerStrategy& one : strategies[type]) {
      const bool same_degrees =
          last && last->tp_degree == one.tp_degree && last->ulysses_degree == one.ulysses_degree;
      last = &one;
      if (same_degrees) continue;
      const auto time_of = [&](std::int64_t samples) {
        const cost::LocalWork work = cost::local_work(inputs, shape, layer, one, samples);
        const auto cost =
            inputs.profile.lookup(static_cast<int>(type), one.tp_degree, work.profile_samples);
        return (cost.forward + cost.backward).value;
      };
      fastest[type] =
          std::min(fastest[type], sizes.mean(time_of(sizes.large), time_of(sizes.small)));
    }
  }
  return fastest;
}

}  // namespace

SharedPipeline::SharedPipeline(SearchInputs& inputs, const cost::PipelineShape& shape,
                               std::int64_t global_batch)
    : inputs_(inputs),
      global_batch_(global_batch),
      fastest_compute_(fastest_of_types(inputs.of_batch(global_batch), shape,
                                        inputs.strategies(shape.ranks_per_stage))) {}

double SharedPipeline::slowdown(const cost::PipelineShape& shape) const {
  const cost::CostInputs inputs = cost_inputs();
  return inputs.hardware.compute_slowdown(cost::computing_ranks(shape, inputs.hardware));
}

const cost::CostTables& SharedPipeline::tables(const cost::PipelineShape& shape) {
  const double slowdown = this->slowdown(shape);
  const auto [it, added] = tables_.try_emplace({slowdown, shape.schedule});
  if (!added) return it->second;
  const auto alike = std::find_if(tables_.begin(), tables_.end(), [&](const auto& other) {
    return other.first.first == slowdown && other.first.second != shape.schedule;
  });
  it->second = alike == tables_.end() ? make_tables(shape) : alike->second;
  it->second.shape = shape;
  return it->second;
}

cost::CostTables SharedPipeline::make_tables(const cost::PipelineShape& shape) const {
  cost::CostTables out =
      cost::build_cost_tables(cost_inputs(), shape, inputs_.strategies(shape.ranks_per_stage));
  drop_useless_placements(out);
  drop_dominated(out);
  return out;
}

std::shared_ptr<SharedPipeline> SharedPipelines::get(SearchInputs& inputs,
                                                     const cost::PipelineShape& shape,
                                                     std::int64_t global_batch) {
  auto& pipeline = pipelines_[{global_batch, shape.pp_degree, shape.num_microbatches}];
  if (!pipeline) pipeline = std::make_shared<SharedPipeline>(inputs, shape, global_batch);
  return pipeline;
}

}  // namespace galvatron::search
