#include "galvatron/galvatron2/space.h"

#include <algorithm>
#include <cmath>

#include "galvatron/base/error.h"
#include "galvatron/base/partition.h"

namespace galvatron::galvatron2 {
namespace {

// Rounded up, so that a sum of them within a limit is truly within it.
std::int64_t bytes_of_mb(double mb) { return static_cast<std::int64_t>(std::ceil(mb * kMb)); }

void check_options(const SearchOptions& options) {
  const auto positive = [](std::int64_t value, const char* name) {
    if (value < 1) throw ConfigError("[search] ", name, " ", value, " must be at least 1");
  };
  positive(options.job.world_size, "--world-size");
  positive(options.job.num_layers, "--num-layers");
  positive(options.job.hidden_size, "--hidden-size");
  positive(options.job.seq_length, "--seq-length");
  positive(options.max_tp, "--max-tp");
  positive(options.max_pp, "--max-pp");
  positive(options.max_ulysses, "--max-ulysses");
  positive(options.memory.value, "--memory");
  for (const std::int64_t batch : options.global_batches) positive(batch, "--global-batch");
  if (options.num_microbatches < 0) {
    throw ConfigError("[search] --num-microbatches ", options.num_microbatches,
                      " must be at least 1");
  }
  if ((options.job.world_size & (options.job.world_size - 1)) != 0) {
    throw ConfigError("[search] --world-size ", options.job.world_size,
                      " is no power of two; Galvatron-2's space has only those (our own cost model "
                      "takes any)");
  }
}

std::vector<std::int64_t> microbatch_counts(const SearchOptions& options, std::int64_t batch) {
  if (options.num_microbatches == 0) return divisors(batch);
  if (batch % options.num_microbatches != 0) return {};
  return {options.num_microbatches};
}

// Strategies of one layer that use the stage's ranks and whole samples only.
std::vector<Strategy> strategies(const SearchOptions& options, const Shape& shape,
                                 bool vocabulary) {
  const int ranks = options.job.world_size / shape.pp_degree;
  const std::int64_t samples = shape.global_batch / shape.num_microbatches;
  std::vector<Strategy> out;
  for (const bool ulysses : {false, true}) {
    const int most = std::min(ranks, ulysses ? options.max_ulysses : options.max_tp);
    for (int degree = ulysses ? 2 : 1; degree <= most; degree *= 2) {
      const int dp = ranks / degree;
      if (samples % dp != 0) continue;
      for (const bool zero3 : {false, true}) {
        if (zero3 && dp == 1) continue;
        out.push_back({degree, ulysses, zero3, false});
        if (!vocabulary) out.push_back({degree, ulysses, zero3, true});
      }
    }
  }
  return out;
}

Space make_space(const SearchOptions& options, const CostModel& model, const Shape& shape) {
  Space space;
  space.shape = shape;
  space.stage_layers = default_stages(options.job.num_layers, shape.pp_degree);
  space.layers = strategies(options, shape, false);
  space.vocabularies = strategies(options, shape, true);
  for (const auto& strategy : space.layers) {
    space.layer_costs.push_back(model.layer(shape, strategy));
  }
  for (const auto& strategy : space.vocabularies) {
    space.vocabulary_costs.push_back(model.vocabulary(shape, strategy));
  }
  for (int stage = 0; stage < shape.pp_degree; ++stage) {
    space.in_flight.push_back(model.in_flight(shape, stage));
  }
  return space;
}

bool allowed(const Strategy& strategy, int cap) {
  if (cap == 0) return strategy.tp_degree() == 1;
  return strategy.degree <= cap;
}

Variant make_variant(const CostModel& model, const Space& space, int cap) {
  Variant variant;
  variant.cap = cap;
  variant.fixed_mb = model.fixed_mb(space.shape, cap);
  for (std::size_t i = 0; i < space.layers.size(); ++i) {
    if (allowed(space.layers[i], cap)) variant.layers.push_back(static_cast<int>(i));
  }
  for (std::size_t i = 0; i < space.vocabularies.size(); ++i) {
    if (allowed(space.vocabularies[i], cap)) variant.vocabularies.push_back(static_cast<int>(i));
  }
  for (const int in_flight : space.in_flight) {
    auto& row = variant.options.emplace_back();
    for (const int i : variant.layers) {
      const auto& cost = space.layer_costs[static_cast<std::size_t>(i)];
      row.push_back({bytes_of_mb(cost.memory.at(in_flight)), cost.no_sync_ms,
                     std::max(0.0, cost.sync_ms - cost.no_sync_ms)});
    }
  }
  return variant;
}

}  // namespace

std::vector<Space> make_spaces(const SearchOptions& options, const CostModel& model) {
  check_options(options);
  std::vector<Space> spaces;
  for (const std::int64_t batch : options.global_batches) {
    for (const std::int64_t m : microbatch_counts(options, batch)) {
      const std::int64_t most = std::min<std::int64_t>(
          {options.max_pp, options.job.world_size, options.job.num_layers, m});
      for (int p = 1; p <= most; p *= 2) {
        const Shape shape{batch, static_cast<int>(m), p};
        if (strategies(options, shape, false).empty()) continue;
        spaces.push_back(make_space(options, model, shape));
      }
    }
  }
  if (spaces.empty()) {
    throw ConfigError("[search] no microbatch of --global-batch ", options.global_batches.front(),
                      options.num_microbatches > 0
                          ? " in " + std::to_string(options.num_microbatches) + " microbatches"
                          : "",
                      " divides over ", options.job.world_size,
                      " devices in any pipeline of degree up to ", options.max_pp,
                      "; choose a batch with more powers of two");
  }
  return spaces;
}

std::vector<Variant> make_variants(const SearchOptions& options, const CostModel& model,
                                   const Space& space) {
  std::vector<Variant> out = {make_variant(model, space, 0)};
  const int ranks = options.job.world_size / space.shape.pp_degree;
  for (int cap = 2; cap <= std::min(ranks, options.max_tp); cap *= 2) {
    out.push_back(make_variant(model, space, cap));
  }
  std::erase_if(out, [](const auto& variant) {
    return variant.layers.empty() || variant.vocabularies.empty();
  });
  return out;
}

std::vector<Stage> stage_limits(const Space& space, const Variant& variant, int vocabulary,
                                double limit_mb) {
  const auto& ends = space.vocabulary_costs[static_cast<std::size_t>(vocabulary)];
  const int last = space.num_stages() - 1;
  std::vector<Stage> out;
  for (int stage = 0; stage <= last; ++stage) {
    const int in_flight = space.in_flight[static_cast<std::size_t>(stage)];
    double used_mb = variant.fixed_mb, ms = 0;
    const auto add = [&](const EndCost& end) {
      used_mb += end.memory.at(in_flight);
      ms += end.no_sync_ms;
    };
    if (stage == 0) add(ends.first);
    if (stage == last && last > 0) add(ends.last);
    out.push_back(
        {static_cast<std::int64_t>(std::floor(limit_mb * kMb)) - bytes_of_mb(used_mb), ms});
  }
  return out;
}

}  // namespace galvatron::galvatron2
