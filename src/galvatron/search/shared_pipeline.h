// A batch in microbatches on so many pipeline ranks: what its shapes of all schedules share.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "galvatron/cost/cost_tables.h"
#include "galvatron/search/search_inputs.h"

namespace galvatron::search {

class SharedPipeline {
 public:
  // `shape`: ranks and microbatches count. `inputs` outlives this. REQUIRES: stages of so many
  // ranks have strategies.
  SharedPipeline(SearchInputs& inputs, const cost::PipelineShape& shape, std::int64_t global_batch);

  const SearchInputs& inputs() const { return inputs_; }
  cost::CostInputs cost_inputs() const { return inputs_.of_batch(global_batch_); }
  std::int64_t global_batch() const { return global_batch_; }
  double samples() const { return static_cast<double>(global_batch_); }

  // [layer type]: forward and backward of one layer at the fastest of its strategies, per
  // microbatch, in ms, by a rank that computes alone.
  const std::vector<double>& fastest_compute() const { return fastest_compute_; }
  // How much slower a rank of the shape computes than one alone.
  double slowdown(const cost::PipelineShape& shape) const;
  // Made when first asked for; without what no best plan needs (placement, dominated). Shapes
  // differ in nothing that the tables hold but the schedule, unless ranks that share a machine slow
  // each other down. Stages per rank are not those of the shape.
  const cost::CostTables& tables(const cost::PipelineShape& shape);

 private:
  cost::CostTables make_tables(const cost::PipelineShape& shape) const;

  SearchInputs& inputs_;
  std::int64_t global_batch_;
  std::vector<double> fastest_compute_;
  std::map<std::pair<double, plan::ScheduleKind>, cost::CostTables>
      tables_;  // [slowdown, schedule]
};

// Those of all shapes of a question, each made when first asked for.
class SharedPipelines {
 public:
  std::shared_ptr<SharedPipeline> get(SearchInputs& inputs, const cost::PipelineShape& shape,
                                      std::int64_t global_batch);

 private:
  using Key = std::tuple<std::int64_t, int, int>;  // batch, pipeline ranks, microbatches
  std::map<Key, std::shared_ptr<SharedPipeline>> pipelines_;
};

}  // namespace galvatron::search
