#include "galvatron/galvatron2/solver.h"

#include <algorithm>
#include <limits>

#include "galvatron/base/error.h"
#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::galvatron2 {
namespace {

// The latest time that leaves a value of `most` for a rising function of it.
template <typename Rising>
double largest_below(double low, double most, Rising value) {
  double high = low + 1;
  while (value(high) < most && high < 1e15) high = low + 2 * (high - low);
  for (int step = 0; step < 100; ++step) {
    const double middle = low + (high - low) / 2;
    (value(middle) < most ? low : high) = middle;
  }
  return high;
}

// Stages with gradient reduction that shows: each has a front of (compute, reduction) choices.
class LateSearch {
 public:
  // `value(cost, late)`: the step time. `least`: the least cost of each stage.
  template <typename Value>
  LateSearch(std::vector<CountFront> fronts, std::vector<double> least, Value value, double cutoff)
      : fronts_(std::move(fronts)), cost_(least), late_(least.size(), 0), best_(cutoff) {
    picked_.assign(fronts_.size(), 0);
    descend(0, value);
  }

  template <typename Value>
  void descend(std::size_t stage, Value& value) {
    if (++nodes_ > kMaxNodes) return;
    const double bound = value(cost_, late_);  // later stages: least cost, no reduction
    if (bound >= best_) return;
    if (stage == fronts_.size()) {
      best_ = bound;
      best_picked_ = picked_;
      return;
    }
    const double least = cost_[stage];
    for (std::size_t i = 0; i < fronts_[stage].points.size(); ++i) {
      picked_[stage] = i;
      cost_[stage] = fronts_[stage].points[i].cost;
      late_[stage] = fronts_[stage].points[i].late;
      descend(stage + 1, value);
    }
    cost_[stage] = least;
    late_[stage] = 0;
  }

  bool complete() const { return nodes_ <= kMaxNodes; }
  const std::vector<std::size_t>& best() const { return best_picked_; }
  const CountFront& front(std::size_t stage) const { return fronts_[stage]; }
  std::int64_t nodes() const { return nodes_; }

 private:
  static constexpr std::int64_t kMaxNodes = 2'000'000;
  std::vector<CountFront> fronts_;
  std::vector<double> cost_, late_;
  double best_;
  std::vector<std::size_t> picked_, best_picked_;
  std::int64_t nodes_ = 0;
};

}  // namespace

Solver::Solver(const Space& space, const Variant& variant) : space_(space), variant_(variant) {
  std::vector<Strategy> layouts;
  for (const int i : variant.layers) {
    const auto& strategy = space.layers[static_cast<std::size_t>(i)];
    const auto it = std::find_if(layouts.begin(), layouts.end(),
                                 [&](const auto& one) { return one.same_layout(strategy); });
    layout_of_option_.push_back(static_cast<int>(it - layouts.begin()));
    if (it == layouts.end()) layouts.push_back(strategy);
  }
  num_layouts_ = static_cast<int>(layouts.size());
  for (const auto& options : variant.options) hulls_.push_back(cost_hull(options, 1, 0));
}

double Solver::step_ms(const Stages& stages, const std::vector<double>& cost,
                       const std::vector<double>& late) const {
  std::vector<StageTime> times(stages.size());
  for (std::size_t i = 0; i < stages.size(); ++i) {
    times[i] = {cost[i] + stages[i].end_ms, cost[i] + late[i]};
  }
  return pipeline_ms(times, space_.shape.num_microbatches);
}

std::vector<double> Solver::sums(const std::vector<Counts>& counts,
                                 double CountOption::* member) const {
  std::vector<double> out;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    double total = 0;
    for (std::size_t j = 0; j < counts[i].size(); ++j) {
      total += counts[i][j] * variant_.options[i][j].*member;
    }
    out.push_back(total);
  }
  return out;
}

// Beside every stage at its least: the first and the last stage with their reductions, which the
// formula adds to at least num_microbatches times their own time.
double Solver::bound(const Stages& stages) const {
  std::vector<double> least;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const int count = space_.stage_layers[i];
    least.push_back(count * hulls_[i].at(static_cast<double>(stages[i].capacity) / count));
    if (least.back() == search::kInfinity) return search::kInfinity;
  }
  double bound = step_ms(stages, least, std::vector<double>(least.size(), 0));
  const double m = space_.shape.num_microbatches;
  double before = 0;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    if (i == 0 || i + 1 == stages.size()) {
      const CountProblem problem{variant_.options[i], space_.stage_layers[i], stages[i].capacity, m,
                                 before + stages[i].end_ms};
      bound = std::max(bound, before + m * stages[i].end_ms + count_bound(problem));
    }
    before += least[i] + stages[i].end_ms;
  }
  return bound;
}

double Solver::missing_mb(const Stages& stages) const {
  double missing = -search::kInfinity;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    std::int64_t leanest = std::numeric_limits<std::int64_t>::max();
    for (const CountOption& option : variant_.options[i]) {
      leanest = std::min(leanest, option.weight);
    }
    const double needed = static_cast<double>(leanest) * space_.stage_layers[i] -
                          static_cast<double>(stages[i].capacity);
    missing = std::max(missing, needed / kMb);
  }
  return missing;
}

const CountResult& Solver::cheapest(std::size_t stage, std::int64_t capacity) {
  const auto key = std::make_tuple(space_.in_flight[stage], space_.stage_layers[stage], capacity);
  auto [it, added] = cheapest_.try_emplace(key);
  if (added) {
    it->second = solve_counts({variant_.options[stage], space_.stage_layers[stage], capacity});
  }
  return it->second;
}

// Without a pipeline: m (cost + end) + max(0, late - end).
Answer Solver::solve_alone(const Stage& stage, double cutoff) const {
  const double m = space_.shape.num_microbatches, ends = m * stage.end_ms;
  const CountProblem problem{variant_.options[0], space_.stage_layers[0], stage.capacity, m,
                             stage.end_ms};
  CountResult result = solve_counts(problem, cutoff - ends);
  Answer answer;
  answer.nodes = result.nodes;
  answer.lower_bound_ms = result.lower_bound + ends;
  if (result.counts.empty()) return answer;
  answer.step_ms = result.value + ends;
  answer.counts.push_back(std::move(result.counts));
  return answer;
}

Answer Solver::solve(const Stages& stages, double cutoff) {
  if (num_stages() == 1) return solve_alone(stages[0], cutoff);
  Answer answer;
  answer.lower_bound_ms = cutoff;
  std::vector<Counts> counts;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const CountResult& result = cheapest(i, stages[i].capacity);
    if (result.counts.empty()) return answer;
    GALV_CHECK(result.lower_bound == result.value, "a stage of ", space_.stage_layers[i],
               " layers took more than ", result.nodes, " nodes");
    answer.nodes += result.nodes;
    counts.push_back(result.counts);
  }
  // Every stage at its least is the best there is, unless a reduction shows.
  const std::vector<double> cost = sums(counts, &CountOption::cost);
  const double least = step_ms(stages, cost, std::vector<double>(cost.size(), 0));
  if (least >= cutoff) return answer;
  const double simple = step_ms(stages, cost, sums(counts, &CountOption::late));
  if (simple > least) answer = solve_late(stages, cost, std::min(cutoff, simple));
  if (answer.found() || simple >= cutoff) return answer;
  answer.step_ms = simple;
  answer.lower_bound_ms = std::min(simple, answer.lower_bound_ms);
  answer.counts = std::move(counts);
  return answer;
}

// The largest cost of a stage with which the others at their least stay below the cutoff.
double Solver::latest(const Stages& stages, std::vector<double> cost, std::size_t stage,
                      double cutoff) const {
  const std::vector<double> none(cost.size(), 0);
  return largest_below(cost[stage], cutoff, [&](double value) {
    cost[stage] = value;
    return step_ms(stages, cost, none);
  });
}

// The formula ignores how slow a middle stage is while the first one decides, but lets its time
// hide the reductions of later stages: then a slower choice could win. Can any later stage's
// reduction show at all?
bool Solver::slow_middle_could_pay(const Stages& stages, const std::vector<double>& least) const {
  double before = 0;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    before += stages[i].end_ms;
    double late = 0;
    for (const CountOption& option : variant_.options[i]) late = std::max(late, option.late);
    if (i >= 2 && late * space_.stage_layers[i] > before) return true;
    before += least[i];
  }
  return false;
}

Answer Solver::solve_late(const Stages& stages, const std::vector<double>& least,
                          double cutoff) const {
  std::vector<CountFront> fronts;
  double before = 0;
  bool complete = !slow_middle_could_pay(stages, least);
  for (std::size_t i = 0; i < stages.size(); ++i) {
    before += stages[i].end_ms;
    fronts.push_back(count_front(variant_.options[i], space_.stage_layers[i], stages[i].capacity,
                                 latest(stages, least, i, cutoff), before));
    before += least[i];
    complete = complete && fronts.back().complete;
  }
  const auto value = [&](const std::vector<double>& cost, const std::vector<double>& late) {
    return step_ms(stages, cost, late);
  };
  const LateSearch search(std::move(fronts), least, value, cutoff);
  Answer answer;
  answer.nodes = search.nodes();
  answer.lower_bound_ms = cutoff;
  if (!search.best().empty()) {
    for (std::size_t i = 0; i < stages.size(); ++i) {
      answer.counts.push_back(search.front(i).points[search.best()[i]].counts);
    }
    answer.step_ms = step_ms(stages, sums(answer.counts, &CountOption::cost),
                             sums(answer.counts, &CountOption::late));
    answer.lower_bound_ms = answer.step_ms;
  }
  if (!complete || !search.complete()) answer.lower_bound_ms = bound(stages);
  return answer;
}

}  // namespace galvatron::galvatron2
