// What the layers in front of a partial choice must cost at least: a relaxation in which memory has
// a price, and the cheapest way through the layouts under that price. Part of layer_solver.h.
#pragma once
#include <cstdint>
#include <vector>

#include "galvatron/search/solvers/layer_solver.h"
#include "galvatron/search/solvers/relaxation.h"
#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::search {

// Of one cap's cost.
struct ToGo {
  double once_share = 0;
  double price = 0;  // of a byte
  double limit = kInfinity;
  // [layers in front][layout behind]: the cheapest way through them, memory priced.
  std::vector<double> cost;
  // [layers in front]: the same without changes of layout, for the memory that is left.
  std::vector<RelaxedCurve> relaxed;
};

class StageBounds {
 public:
  // `problem` outlives this. `drop`: options whose single use already breaks a cap are dropped.
  StageBounds(const StageProblem& problem, const std::vector<StageCap>& caps, bool drop);

  // [type]: those that may be of use.
  const std::vector<std::vector<LayerOption>>& options() const { return options_; }
  const std::vector<ToGo>& to_go() const { return to_go_; }
  // Of the first cap's cost over all choices; infinity when none fits.
  double bound() const;

 private:
  const std::vector<LayerOption>& options_of(int type) const {
    return options_[static_cast<std::size_t>(type)];
  }
  double capacity() const { return static_cast<double>(problem_.capacity - least_alone_); }
  std::int64_t least_alone() const;
  std::vector<LowerHull> hulls(double once_share) const;
  Relaxed relaxed(double once_share) const;
  void drop_options();
  void fill(ToGo& out) const;
  void fill_relaxed(ToGo& out) const;

  const StageProblem& problem_;
  std::vector<std::vector<LayerOption>> options_;
  std::int64_t least_alone_ = 0;
  std::vector<ToGo> to_go_;  // one per cap
};

}  // namespace galvatron::search
