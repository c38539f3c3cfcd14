#include "galvatron/search/compute_bound.h"

#include <algorithm>

#include "galvatron/search/tolerance.h"

namespace galvatron::search {

std::vector<double> fastest_compute(
    const cost::CostInputs& inputs, const cost::PipelineShape& shape,
    const std::vector<std::vector<plan::LayerStrategy>>& candidates) {
  const cost::MicrobatchSizes sizes =
      cost::microbatch_sizes(inputs.job.global_batch, shape.num_microbatches);
  std::vector<double> fastest(candidates.size(), kInfinity);
  for (std::size_t type = 0; type < candidates.size(); ++type) {
    const int layer = inputs.model.first_layer_of_type(static_cast<int>(type));
    const plan::LayerStrategy* last = nullptr;
    for (const plan::LayerStrategy& one : candidates[type]) {
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

double compute_slowdown(const cost::CostInputs& inputs, const cost::PipelineShape& shape) {
  return inputs.hardware.compute_slowdown(cost::computing_ranks(shape, inputs.hardware));
}

}  // namespace galvatron::search
