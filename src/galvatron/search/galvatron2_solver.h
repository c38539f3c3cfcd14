// One candidate of Galvatron-2's space (batch, microbatches, pipeline, buffer cap, vocabulary
// strategy): the best counts of strategies per stage under its own pipeline formula, all stages
// jointly. docs/design/search.md proves why this is exact.
#pragma once
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "galvatron/search/galvatron2_space.h"

namespace galvatron::search {

struct Galvatron2Answer {
  double step_ms = 0;
  std::vector<std::vector<int>> counts;  // [stage][option of the variant]; empty: none found
  // No plan of the candidate takes less; at least the cutoff (or step_ms) where solved exactly.
  double lower_bound_ms = 0;
  std::int64_t nodes = 0;
  bool found() const { return !counts.empty(); }
};

// Fewest redistributions at a given score: the layers in order.
struct Galvatron2Arrangement {
  int transitions = 0;
  std::vector<plan::Galvatron2Strategy> layers;
};

// All candidates that share a variant; stages of equal question are solved once.
class Galvatron2Solver {
 public:
  // References: the owner outlives the solver.
  Galvatron2Solver(const Galvatron2Space& space, const Galvatron2Variant& variant);

  // A lower bound of the step time; infinity when some stage cannot fit.
  double bound(const std::vector<Galvatron2Stage>& stages) const;
  // MB that the fullest stage lacks with the leanest strategies; <= 0 when the candidate fits.
  double missing_mb(const std::vector<Galvatron2Stage>& stages) const;
  // The best plan that takes less than `cutoff` ms.
  Galvatron2Answer solve(const std::vector<Galvatron2Stage>& stages, double cutoff);
  // Among the plans that take at most `step_ms`, one with the fewest changes of layout.
  Galvatron2Arrangement arrange(const std::vector<Galvatron2Stage>& stages,
                                const Galvatron2Answer& answer) const;

 private:
  using Counts = std::vector<int>;
  using Stages = std::vector<Galvatron2Stage>;
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
  Galvatron2Answer solve_alone(const Galvatron2Stage& stage, double cutoff) const;
  Galvatron2Answer solve_late(const Stages& stages, const std::vector<double>& least,
                              double cutoff) const;
  double latest(const Stages& stages, std::vector<double> cost, std::size_t stage,
                double cutoff) const;
  bool slow_middle_could_pay(const Stages& stages, const std::vector<double>& least) const;

  CountResult solve_layouts(const CountProblem& problem, const std::vector<int>& layouts,
                            double cutoff) const;
  std::optional<Counts> fewest_layouts(const Galvatron2Stage& stage, const Counts& best,
                                       double step_ms) const;
  std::vector<Passage> passages(const Stages& stages, std::size_t stage, const Counts& best,
                                double most) const;
  std::vector<Passage> fewest_changes(const Stages& stages, const Galvatron2Answer& answer) const;
  std::vector<int> layouts_of(const Counts& counts) const;
  void append_stage(std::vector<plan::Galvatron2Strategy>& layers, const Counts& counts, int first,
                    int last) const;

  const Galvatron2Space& space_;
  const Galvatron2Variant& variant_;
  std::vector<int> layout_of_option_;
  int num_layouts_ = 0;
  std::vector<CostHull> hulls_;  // per stage
  // By microbatches in flight, layers and capacity.
  std::map<std::tuple<int, int, std::int64_t>, CountResult> cheapest_;
};

}  // namespace galvatron::search
