// The best plan of one pipeline shape under our cost tables: partition, in-flight microbatches,
// slowest stage and sum, solved jointly. docs/design/search.md has the bounds and the proof.
//
// With m microbatches, p stages, X a stage's time per microbatch and O what it pays once:
//   step = sum X + (m - 1) max X + max O  >=  sum (X + O / (m p)) + (m - 1) max (X + O / m).
// Every stage of every length gets a lower bound of both scalars; those that lie on no path below a
// cutoff are out, the others are solved exactly (layer_solver.h), and a dynamic program over the
// stages keeps every partial pipeline that is not dominated in (sum X, max X, max O).
#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "galvatron/cost/cost_tables.h"
#include "galvatron/search/layer_ranges.h"
#include "galvatron/search/layer_solver.h"

namespace galvatron::search {

struct ShapeAnswer {
  double step_ms = std::numeric_limits<double>::infinity();
  std::vector<int> layers_per_stage;  // empty: none found
  std::vector<int> choice;            // candidate of every layer, as cost_tables.h names them
  bool complete = true;               // false: a better one may have been missed
  double slack_ms = 0;                // complete, but for plans faster by less than this
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
  ShapeSolver(const cost::CostTables& tables, const LayerRanges& ranges,
              std::vector<std::vector<int>> candidates, const ShapeOptions& options);

  // No plan of the shape is faster; infinity when none fits. Rises as solve() learns. ms.
  double lower_bound() const { return lower_bound_; }

  // The best plan that takes less than `cutoff`, if there is one.
  ShapeAnswer solve(double cutoff, const StageLimits& limits = {});
  std::int64_t num_labels() const { return num_labels_; }

  // Bytes of the leanest plan's fullest stage, if they are fewer than `cutoff`; else `cutoff`.
  std::int64_t least_bytes(std::int64_t cutoff) const;
  // No plan of the shape needs less.
  std::int64_t least_bytes_bound() const;

 private:
  // What is known of the stages of one kind: so many microbatches in flight, layers of such types.
  struct Kind {
    double bottleneck = 0;  // lower bounds of X + O / m, and of X + O / (m p)
    double sum = 0;
    bool refined = false;
    double bottleneck_cap = 0, sum_cap = 0;  // what is asked of the front
    double solved_bottleneck_cap = -1, solved_sum_cap = -1, tolerance = 0;
    StageFront front;
  };
  // One partial pipeline: the stages from some layer to the end.
  struct Path;

  int num_layers() const { return ranges_.num_layers(); }
  int num_stages() const { return tables_.shape.pp_degree; }
  // Microbatches after the first, which wait for the slowest stage; 0 without a pipeline, where
  // they are part of the time.
  double repeats() const;
  double bottleneck_share() const { return 1 / (1 + repeats()); }
  double sum_share() const { return bottleneck_share() / num_stages(); }
  int in_flight_index(int stage) const;
  std::size_t kind_index(int stage, int begin, int end) const {
    return static_cast<std::size_t>(in_flight_index(stage) * ranges_.num_kinds() +
                                    ranges_.kind(begin, end));
  }
  bool allowed_stage(int stage, int begin, int end) const;
  // Calls visit(begin, end) for every range that the stage may have.
  template <typename Visit>
  void for_ranges(int stage, Visit visit) const;

  // [in flight][type]: candidates that no other one dominates; `timed`: in times and bytes, else in
  // bytes alone, and nothing takes time.
  std::vector<std::vector<std::vector<LayerOption>>> make_options(bool timed) const;
  void bound_kinds();
  void find_path_bounds();
  bool set_caps(double cutoff);
  bool refine();
  StageProblem problem(std::size_t kind,
                       const std::vector<std::vector<std::vector<LayerOption>>>& options) const;
  bool solve_kinds(const StageLimits& limits);
  ShapeAnswer join_stages(double cutoff) const;
  // Least over partitions of the largest of_stage(stage, begin, end), where below `cutoff`.
  template <typename OfStage>
  std::int64_t least_peak(std::int64_t cutoff, OfStage of_stage) const;

  const cost::CostTables& tables_;
  const LayerRanges& ranges_;
  std::vector<std::vector<int>> candidates_;
  ShapeOptions options_;
  std::vector<int> in_flight_;                                    // distinct, by index
  std::vector<std::vector<std::vector<LayerOption>>> by_flight_;  // [index][type]
  std::vector<double> transition_, transition2_;
  std::vector<Kind> kinds_;
  // Least sum and least bottleneck of the stages before / from a stage on, by the layer where it
  // begins. [stage * (num_layers + 1) + layer]
  std::vector<double> sum_before_, sum_from_, bottleneck_before_, bottleneck_from_;
  double lower_bound_ = 0;
  std::int64_t num_labels_ = 0;
};

}  // namespace galvatron::search
