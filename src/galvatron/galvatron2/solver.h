// One candidate of Galvatron-2's space (batch, microbatches, pipeline, buffer cap, vocabulary
// strategy): the best counts of strategies per stage under its own pipeline formula, all stages
// jointly. docs/design/search.md proves why this is exact.
#pragma once
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "galvatron/galvatron2/space.h"

namespace galvatron::galvatron2 {

struct Answer {
  double step_ms = 0;
  std::vector<std::vector<int>> counts;  // [stage][option of the variant]; empty: none found
  // No plan of the candidate takes less; at least the cutoff (or step_ms) where solved exactly.
  double lower_bound_ms = 0;
  std::int64_t nodes = 0;
  bool found() const { return !counts.empty(); }
};

// Fewest redistributions at a given score: the layers in order.
struct Arrangement {
  int transitions = 0;
  std::vector<Strategy> layers;
};

// All candidates that share a variant; stages of equal question are solved once.
class Solver {
 public:
  // References: the owner outlives the solver.
  Solver(const Space& space, const Variant& variant);

  // A lower bound of the step time; infinity when some stage cannot fit.
  double bound(const std::vector<Stage>& stages) const;
  // MB that the fullest stage lacks with the leanest strategies; <= 0 when the candidate fits.
  double missing_mb(const std::vector<Stage>& stages) const;
  // The best plan that takes less than `cutoff` ms.
  Answer solve(const std::vector<Stage>& stages, double cutoff);
  // Among the plans that take at most `step_ms`, one with the fewest changes of layout.
  Arrangement arrange(const std::vector<Stage>& stages, const Answer& answer) const;

 private:
  using Counts = std::vector<int>;
  using Stages = std::vector<Stage>;
  // The best way through a stage that begins and ends with given layouts.
  struct Passage {
    double cost = 0;
    int first = 0, last = 0, changes = 0;
    Counts counts;
  };

  class FewestChanges;  // galvatron2_arrange.cpp

  int num_stages() const { return space_.num_stages(); }
  double step_ms(const Stages& stages, const std::vector<double>& cost,
                 const std::vector<double>& late) const;
  // Sums over every stage's counts.
  std::vector<double> sums(const std::vector<Counts>& counts, double CountOption::* member) const;
  const CountResult& cheapest(std::size_t stage, std::int64_t capacity);
  Answer solve_alone(const Stage& stage, double cutoff) const;
  Answer solve_late(const Stages& stages, const std::vector<double>& least, double cutoff) const;
  double latest(const Stages& stages, std::vector<double> cost, std::size_t stage,
                double cutoff) const;
  bool slow_middle_could_pay(const Stages& stages, const std::vector<double>& least) const;

  CountResult solve_layouts(const CountProblem& problem, const std::vector<int>& layouts,
                            double cutoff) const;
  std::optional<Counts> fewest_layouts(const Stage& stage, const Counts& best,
                                       double step_ms) const;
  std::vector<Passage> passages(const Stages& stages, std::size_t stage, const Counts& best,
                                double most) const;
  std::vector<Passage> fewest_changes(const Stages& stages, const Answer& answer) const;
  std::vector<int> layouts_of(const Counts& counts) const;
  void append_stage(std::vector<Strategy>& layers, const Counts& counts, int first, int last) const;

  const Space& space_;
  const Variant& variant_;
  std::vector<int> layout_of_option_;
  int num_layouts_ = 0;
  std::vector<search::LowerHull> hulls_;  // per stage
  // By microbatches in flight, layers and capacity.
  std::map<std::tuple<int, int, std::int64_t>, CountResult> cheapest_;
};

}  // namespace galvatron::galvatron2
