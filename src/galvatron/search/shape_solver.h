// The best plan of one pipeline shape under our cost tables: partition, in-flight microbatches,
// slowest stage and sum, solved jointly.
#pragma once
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "galvatron/cost/cost_tables.h"
#include "galvatron/search/layer_solver.h"

namespace galvatron::search {

struct ShapeAnswer {
  double step_ms = std::numeric_limits<double>::infinity();
  std::vector<int> layers_per_stage;  // empty: none found
  std::vector<int> choice;            // candidate of every layer, as cost_tables.h names them
  bool found() const { return !choice.empty(); }
};

struct ShapeOptions {
  std::int64_t budget = 0;    // bytes, reserve included
  bool uneven_stages = true;  // else balanced chunks
};

class ShapeSolver {
 public:
  // `candidates[type]`: the candidates of the tables that may be used (all, unless the first and
  // the last layer share a weight and so must agree). References: the owner outlives the solver.
  ShapeSolver(const cost::CostTables& tables, std::vector<std::vector<int>> candidates,
              const ShapeOptions& options);

  // No plan of the shape is faster; infinity when none fits. ms.
  double lower_bound() const { return lower_bound_; }

  // The best plan that takes less than `cutoff`. `max_labels`: see StageLimits; limited, the answer
  // is a plan that fits, and `exact` becomes false when a better one may have been missed.
  ShapeAnswer solve(double cutoff, std::size_t max_labels, bool& exact);
  std::int64_t num_labels() const { return num_labels_; }

  // Bytes of the leanest plan's fullest stage, if they are fewer than `cutoff`; else `cutoff`.
  std::int64_t least_bytes(std::int64_t cutoff) const;

 private:
  struct PathLabel;
  using Paths = std::vector<PathLabel>;

  int num_layers() const { return tables_.num_layers(); }
  int num_stages() const { return tables_.shape.pp_degree; }
  int type_of(int layer) const { return tables_.type_of_layer[static_cast<std::size_t>(layer)]; }
  int in_flight(int stage) const;
  bool allowed_stage(int stage, int begin, int end) const;
  // `timed`: with times and layouts; else every option costs nothing and only memory matters.
  StageTables stage_tables(int in_flight, bool timed) const;
  double stage_bound(const StageTables& stage, int begin, int end) const;
  void find_bounds();

  const cost::CostTables& tables_;
  std::vector<std::vector<int>> candidates_;
  ShapeOptions options_;
  std::map<int, StageTables> stages_;  // by microbatches in flight
  // Bounds of the first `stage` stages when they hold the first `layers` layers: the sum of their
  // times, the slowest of them. [stage * (num_layers + 1) + layers]
  std::vector<double> sum_before_, slowest_before_;
  double once_bound_ = 0;
  double lower_bound_ = 0;
  std::int64_t num_labels_ = 0;
};

}  // namespace galvatron::search
