// What is asked of one pipeline shape: its tables, the layers' useful strategies, the limits.
// Shared by all solvers of the shape (shape_solver.h).
#pragma once
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "galvatron/cost/cost_tables.h"
#include "galvatron/search/solvers/layer_ranges.h"
#include "galvatron/search/solvers/layer_solver.h"
#include "galvatron/search/solvers/layout_change.h"

namespace galvatron::search {

struct ShapeOptions {
  std::int64_t budget = 0;    // bytes, reserve included
  bool uneven_stages = true;  // else balanced chunks
};

// Two times as the objective weighs them (LayerOption).
struct TimePair {
  double time = 0, time2 = 0;
  double both() const { return time + time2; }
};

// `a` needs no more than `b` for a moment: whole parameters and gradients, workspaces.
bool passes_with_no_more(const cost::LayerCost& a, const cost::LayerCost& b);

// [type][candidate]: candidates of layers that share a weight may go together when their group is
// the same (plan::split_parameters_alike); -1: goes with all. Empty where no layers share one.
std::vector<std::vector<int>> tied_groups(const cost::CostTables& tables);

// What is known of the stages of one kind: so many microbatches in flight, layers of such types.
struct StageFacts {
  // Lower bounds of X + O / m, and of X + O / (m p) (shape_solver.h); -1: not known yet.
  double bottleneck = -1, sum = 0;
  bool refined = false;
  // Every choice of use whose two scalars are within the caps, up to the tolerances.
  double bottleneck_cap = -1, sum_cap = -1;
  double time_tolerance = 0, once_tolerance = 0;
  StageFront front;
};

class ShapeQuestion {
 public:
  // References: the owner outlives the question. `group`: as tied_groups() makes it.
  ShapeQuestion(const cost::CostTables& tables, const LayerRanges& ranges,
                const std::vector<std::vector<int>>& group, const ShapeOptions& options);

  using Options = std::vector<std::vector<LayerOption>>;  // [type]
  // Candidates of one group (-1: of any) with so many microbatches in flight that no other one
  // dominates. `timed`: in times and bytes; else in bytes alone, and nothing takes time.
  Options make_options(int group, int in_flight, bool timed) const;

  // What bounds see of a layer type, whatever is in flight.
  struct Point {
    double time = 0, once = 0;  // time of both
    double state = 0, activation = 0;
    double weight(int in_flight) const { return state + in_flight * activation; }
  };
  struct TypeBounds {
    std::vector<Point> points;  // of the group's candidates, those that no other one dominates
    std::int64_t alone = 0;     // a stage's last layer needs so many bytes beside its weight
  };
  const TypeBounds& bounds(std::size_t type, int group) const;

  // Of stages without layers that share a weight, the same for all groups; nullptr: with one.
  StageFacts* shared_facts(int in_flight, int range_kind) const;

  int in_flight(int stage) const { return in_flight_[static_cast<std::size_t>(stage)]; }

  // Groups, ascending; {-1} when there are none.
  const std::vector<int>& groups() const { return groups_; }
  const cost::CostTables& tables() const { return tables_; }
  const LayerRanges& ranges() const { return ranges_; }
  const ShapeOptions& options() const { return options_; }
  const LayoutChanges& layout_changes() const { return layout_changes_; }
  // What a stage of layers begin .. end-1 waits for its input and, going back, for its gradient,
  // when nothing hides it.
  double waits(int begin, int end) const {
    return transfer_[static_cast<std::size_t>(begin)] + transfer_[static_cast<std::size_t>(end)];
  }
  // The least that LayerOption's times are over all stages where links set the pace (GPipe).
  TimePair link_pace(int begin, int end) const;

 private:
  int group_of(std::size_t type, int id) const {
    return group_.empty() ? -1 : group_[type][static_cast<std::size_t>(id)];
  }
  bool goes_with(std::size_t type, int id, int group) const {
    const int own = group_of(type, id);
    return group < 0 || own < 0 || own == group;
  }
  std::vector<LayerOption> options_of(std::size_t type, int group, int in_flight, bool timed) const;
  TypeBounds make_bounds(std::size_t type, int group) const;
  void drop_dominated(std::size_t type, bool timed, std::vector<LayerOption>& options) const;

  const cost::CostTables& tables_;
  const LayerRanges& ranges_;
  std::vector<std::vector<int>> group_;
  ShapeOptions options_;
  LayoutChanges layout_changes_;
  std::vector<int> in_flight_;    // [stage]: microbatches at the peak
  std::vector<double> transfer_;  // in front of each layer; 0 at both ends of the model
  std::vector<int> groups_;
  // [type]: ids that no other one of the same group dominates whatever is in flight.
  std::vector<std::vector<int>> candidates_;
  // Of types that are alike for all groups, once asked for: by type, in_flight, timed.
  mutable std::map<std::tuple<std::size_t, int, bool>, std::vector<LayerOption>> untied_options_;
  mutable std::map<std::pair<std::size_t, int>, TypeBounds> bounds_;  // by type and group
  mutable std::map<std::pair<int, int>, StageFacts> shared_facts_;    // in flight, kind of range
};

}  // namespace galvatron::search
