// The plans that Galvatron-2's search considers: batch, microbatches, pipeline degree; powers of
// two as degrees; even stages; a cap on degrees that the gather buffer must serve. Costs included.
#pragma once
#include <cstdint>
#include <vector>

#include "galvatron/base/units.h"
#include "galvatron/galvatron2/cost.h"
#include "galvatron/galvatron2/count_solver.h"

namespace galvatron::galvatron2 {

struct SearchOptions {
  Job job;
  // Of each device; 20 % are kept back from 21 GiB on, as there.
  Bytes memory = gibibytes(16);
  std::vector<std::int64_t> global_batches = {64};
  int num_microbatches = 0;  // 0: every divisor of the batch
  int max_tp = 8, max_pp = 8, max_ulysses = 8;
  // Distinct runner-up plans wanted: the best of other batches, microbatch counts and pipelines.
  int num_runners_up = 0;
};

// One batch, number of microbatches and pipeline degree.
struct Space {
  Shape shape;
  std::vector<int> stage_layers;
  std::vector<Strategy> layers, vocabularies;
  std::vector<LayerCost> layer_costs;
  std::vector<VocabularyCost> vocabulary_costs;
  std::vector<int> in_flight;  // per stage
  int num_stages() const { return shape.pp_degree; }
};

// The strategies of a space that one gather buffer serves.
struct Variant {
  int cap = 0;  // 0: no tensor parallelism, no buffer
  double fixed_mb = 0;
  std::vector<int> layers;        // indices into Space::layers
  std::vector<int> vocabularies;  // likewise
  // Per stage: weight in bytes with that stage's microbatches in flight, cost the time without
  // gradient reduction, late what the reduction adds. One option per entry of `layers`.
  std::vector<std::vector<CountOption>> options;
};

// Spaces with at least one strategy. ConfigError when none has: a batch that cannot be divided.
std::vector<Space> make_spaces(const SearchOptions& options, const CostModel& model);
std::vector<Variant> make_variants(const SearchOptions& options, const CostModel& model,
                                   const Space& space);

// What a stage has left for layers, and the time of its embedding or head.
struct Stage {
  std::int64_t capacity = 0;  // bytes
  double end_ms = 0;
};
std::vector<Stage> stage_limits(const Space& space, const Variant& variant, int vocabulary,
                                double limit_mb);

}  // namespace galvatron::galvatron2
