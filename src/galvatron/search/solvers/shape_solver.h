// The best plan of one pipeline shape under our cost tables: partition, in-flight microbatches,
// slowest stage and sum, solved jointly. docs/design/search.md has the bounds and the proof.
//
// With m microbatches, p stages, X a stage's time per microbatch, w what it waits for its borders
// and O what it pays once (1F1B; a and b of cost::round_trips):
//   step = max(sum X + sum w + (m - 1) max X, a sum X + b sum w) + max O
//       >= max(sum (Y + w) + (m - 1) max (X + O / m), a sum Y + b sum w),  Y = X + O / (m p).
// Every stage of every length gets a lower bound of both scalars; those that lie on no path below a
// cutoff are out, the others are solved exactly (layer_solver.h), and a dynamic program over the
// stages keeps every partial pipeline that is not dominated in (sum X, sum w, max X, max O).
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "galvatron/cost/pipeline_time.h"
#include "galvatron/search/solvers/layer_solver.h"
#include "galvatron/search/solvers/relaxation.h"
#include "galvatron/search/solvers/shape_question.h"
#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::search {

struct ShapeAnswer {
  double step_ms = std::numeric_limits<double>::infinity();
  std::vector<int> layers_per_stage;  // empty: none found
  std::vector<int> choice;            // candidate of every layer, as cost_tables.h names them
  bool complete = true;               // false: a better one may have been missed
  double slack_ms = 0;                // complete, but for plans faster by less than this
  bool found() const { return !choice.empty(); }
};

class ShapeSolver {
 public:
  // Candidates of one group; -1: of any (then an answer may mix groups).
  ShapeSolver(const ShapeQuestion& question, int group);

  // No plan is faster; infinity when none fits. Rises as tighten() and solve() learn. ms.
  double lower_bound() const { return lower_bound_; }

  // Bounds from every stage of every length instead of one for all layers, where below `cutoff`.
  void tighten(double cutoff);

  // The best plan that takes less than `cutoff`, if there is one.
  ShapeAnswer solve(double cutoff, const StageLimits& limits = {});
  std::int64_t num_labels() const { return num_labels_; }
  std::int64_t work() const { return work_; }  // as StageLimits counts it, of all calls

  // Bytes of the leanest plan's fullest stage, if they are fewer than `cutoff`; else `cutoff`.
  std::int64_t least_bytes(std::int64_t cutoff) const;
  // No plan of the shape needs less.
  std::int64_t least_bytes_bound() const;

 private:
  // The stages of one kind, as they matter below the cutoff at hand.
  struct Kind {
    StageFacts* facts = nullptr;
    StageFacts own;                          // where they are not shared
    double bottleneck = 0, sum = 0;          // bounds, at least those of the facts
    double bottleneck_cap = 0, sum_cap = 0;  // what is asked of the front
  };
  // What stages with the same number in flight share. By type: hulls of both scalars, and the
  // candidates, made when a stage is looked into.
  struct Flight {
    int in_flight = 1;
    std::vector<LowerHull> bottleneck_hull, sum_hull;
    ShapeQuestion::Options options;
    std::map<int, Kind> kinds;  // by LayerRanges::kind
  };
  // A stage that lies on some path below the cutoff.
  struct Arc {
    int stage = 0, begin = 0, end = 0;
    Kind* kind = nullptr;
  };
  // Stages put together: sum (Y + w), a sum Y + b sum w, and the largest X + O / m.
  struct PathBounds {
    double sum = 0, trips = 0, slowest = 0;
    bool is_open() const { return sum < kInfinity; }
    PathBounds with(const PathBounds& other) const {
      return {sum + other.sum, trips + other.trips, std::max(slowest, other.slowest)};
    }
    void lower_to(const PathBounds& other) {
      sum = std::min(sum, other.sum);
      trips = std::min(trips, other.trips);
      slowest = std::min(slowest, other.slowest);
    }
  };
  class Join;  // shape_join.cpp

  const cost::CostTables& tables() const { return question_.tables(); }
  const LayerRanges& ranges() const { return question_.ranges(); }
  int num_layers() const { return ranges().num_layers(); }
  int num_stages() const { return tables().shape.pp_degree; }
  // Microbatches after the first, which wait for the slowest stage; 0 without a pipeline, where
  // they are part of the time.
  double repeats() const;
  PathBounds path_bounds(const Arc& arc, double sum, double bottleneck) const;
  PathBounds path_bounds(const Arc& arc) const {
    return path_bounds(arc, arc.kind->sum, arc.kind->bottleneck);
  }
  // With all stages: no step is below.
  double step_bound(const PathBounds& path) const {
    return path.is_open() ? std::max(path.sum + repeats() * path.slowest, path.trips) : kInfinity;
  }
  double bottleneck_share() const { return 1 / (1 + repeats()); }
  double sum_share() const { return bottleneck_share() / num_stages(); }
  bool allowed_stage(int stage, int begin, int end) const;
  std::size_t at(int stage, int layer) const {
    return static_cast<std::size_t>(stage * (num_layers() + 1) + layer);
  }

  double sum_of(const StageChoice& choice) const {
    return choice.time + choice.time2 + sum_share() * choice.once;
  }
  double bottleneck_of(const StageChoice& choice) const {
    return choice.time + choice.time2 + bottleneck_share() * choice.once;
  }

  Flight& flight(int stage);
  Kind& kind(int stage, int begin, int end);
  void bound_kind(const Flight& flight, int range_kind, StageFacts& facts) const;
  void bound_all_layers();
  void forget_paths();
  bool enter(const Arc& arc, double cutoff);
  void find_paths(double cutoff);
  void narrow_paths(double cutoff);
  void bound_behind(double cutoff);
  bool set_caps(double cutoff);
  bool refine();
  bool raise(Kind& kind, double sum, double bottleneck) const;
  bool within_caps(const Kind& kind, const StageChoice& choice) const;
  bool use_fronts();
  const ShapeQuestion::TypeBounds& bounds(std::size_t type) const {
    return question_.bounds(type, group_);
  }
  // [type], of the scalar  repeated * time + once_share * once.
  LowerHull hull(std::size_t type, int in_flight, double repeated, double once_share) const;
  const ShapeQuestion::Options& options_of(Flight& flight) const;
  StageProblem problem(const ShapeQuestion::Options& options, int range_kind) const;
  void forget_cutoff();
  bool solve_kinds(const StageLimits& limits);
  void solve_kind(const Flight& flight, int range_kind, Kind& kind, const StageLimits& limits);
  ShapeAnswer join_stages(double cutoff, const std::function<bool()>* interrupted) const;
  // Least over partitions of the largest of_stage(stage, begin, end), where below `cutoff`.
  template <typename OfStage>
  std::int64_t least_peak(std::int64_t cutoff, OfStage of_stage) const;

  const ShapeQuestion& question_;
  int group_;
  cost::RoundTrips trips_;         // both 1 without a pipeline
  std::map<int, Flight> flights_;  // by microbatches in flight
  std::vector<Arc> arcs_;          // by stage
  // The least of each number, of the stages before / from a stage on, by the layer where it begins:
  // at(stage, layer).
  std::vector<PathBounds> before_, from_;
  double lower_bound_ = 0;
  double least_sum_ = 0;  // of all layers, of Y
  std::int64_t num_labels_ = 0, work_ = 0;
};

}  // namespace galvatron::search
