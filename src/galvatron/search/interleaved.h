// The interleaved pipelines of the search's space: even stages, balanced chunks of the layers, and
// one strategy for all layers of a type, TP on neighbours. A space of its own, small enough to be
// enumerated with bounds, so that its best plan is known exactly.
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "galvatron/cost/cost_tables.h"
#include "galvatron/plan/plan.h"

namespace galvatron::search {

// A batch in microbatches on a pipeline of one stage per rank, of which the stages are cut further.
struct InterleavedBase {
  cost::PipelineShape pipeline;
  std::int64_t global_batch = 1;
  std::vector<double> fastest_compute;       // compute_bound.h
  const cost::CostTables* tables = nullptr;  // of `pipeline`, where they were made already
};

struct InterleavedPlan {
  cost::PipelineShape shape;
  std::int64_t global_batch = 1;
  double step_ms = 0;
  std::vector<plan::LayerStrategy> layers;  // of the model
  double ms_per_sample() const { return step_ms / static_cast<double>(global_batch); }
};

struct InterleavedMiss {
  std::int64_t bytes = std::numeric_limits<std::int64_t>::max();
  cost::PipelineShape shape;
  std::int64_t global_batch = 1;
};

class InterleavedSearch {
 public:
  using InputsOf = std::function<cost::CostInputs(std::int64_t global_batch)>;
  using CandidatesOf =
      std::function<const std::vector<std::vector<plan::LayerStrategy>>&(int ranks_per_stage)>;

  // For every base the fewest stages per rank, but at least two, of each size that the largest
  // stage can have: more of the same size only add transfers. `bases` outlive the search.
  InterleavedSearch(const std::vector<InterleavedBase>& bases, InputsOf inputs_of,
                    CandidatesOf candidates_of, std::int64_t budget);
  ~InterleavedSearch();

  // The best plan of every shape that has one below `cutoff` ms per sample, or below `slack` times
  // the best found; fastest first. Every shape that is left out has none, or is slower, unless
  // there was too much to enumerate: then open_bound() says what a better plan could still have.
  std::vector<InterleavedPlan> search(double cutoff, double slack);

  // The plan that needs the least memory, where that is less than `below`.
  std::optional<InterleavedMiss> leanest(std::int64_t below);

  std::int64_t num_shapes() const { return static_cast<std::int64_t>(shapes_.size()); }
  std::int64_t num_opened() const { return num_opened_; }  // that no bound ruled out
  // Shapes with too many choices to look at all of them, and what their plans take at least.
  std::int64_t num_given_up() const { return num_given_up_; }
  double open_bound() const { return open_bound_; }  // ms per sample; infinite: all is known

 private:
  struct Shape {
    std::size_t base = 0;
    cost::PipelineShape pipeline;
    double bound = 0;  // ms per sample
  };
  const cost::CostTables& tables_of(const Shape& shape);

  const std::vector<InterleavedBase>& bases_;
  InputsOf inputs_of_;
  CandidatesOf candidates_of_;
  std::int64_t budget_;
  std::vector<Shape> shapes_;  // lowest bound first
  // Of bases, made here. Shapes of one base differ in nothing that the tables hold, unless ranks
  // that share a machine slow each other down.
  std::map<std::pair<std::size_t, double>, cost::CostTables> made_;
  std::int64_t num_opened_ = 0;
  std::int64_t num_given_up_ = 0;
  double open_bound_ = std::numeric_limits<double>::infinity();
};

}  // namespace galvatron::search
