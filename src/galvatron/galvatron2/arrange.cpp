// Plans of equal score: the one with the fewest changes of layout between neighbours.
#include <algorithm>
#include <limits>
#include <numeric>

#include "galvatron/base/error.h"
#include "galvatron/galvatron2/solver.h"
#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::galvatron2 {
namespace {

// A stage's choice mixes at most so many layouts when fewer changes are sought (beside its best).
constexpr int kMostLayouts = 3;

// All subsets of 0 .. count-1 of the given size.
std::vector<std::vector<int>> subsets(int count, int size) {
  std::vector<std::vector<int>> out;
  std::vector<int> picked(static_cast<std::size_t>(size));
  std::iota(picked.begin(), picked.end(), 0);
  while (size <= count) {
    out.push_back(picked);
    int i = size - 1;
    while (i >= 0 && picked[static_cast<std::size_t>(i)] == count - size + i) --i;
    if (i < 0) break;
    ++picked[static_cast<std::size_t>(i)];
    for (int j = i + 1; j < size; ++j) {
      picked[static_cast<std::size_t>(j)] = picked[static_cast<std::size_t>(j - 1)] + 1;
    }
  }
  return out;
}

}  // namespace

// Layouts used, ascending.
std::vector<int> Solver::layouts_of(const Counts& counts) const {
  std::vector<int> out;
  for (std::size_t j = 0; j < counts.size(); ++j) {
    if (counts[j] > 0) out.push_back(layout_of_option_[j]);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

// The problem with options of these layouts only; counts are of all options.
CountResult Solver::solve_layouts(const CountProblem& problem, const std::vector<int>& layouts,
                                  double cutoff) const {
  std::vector<CountOption> options;
  std::vector<std::size_t> index;
  for (std::size_t j = 0; j < problem.options.size(); ++j) {
    if (std::find(layouts.begin(), layouts.end(), layout_of_option_[j]) == layouts.end()) continue;
    options.push_back(problem.options[j]);
    index.push_back(j);
  }
  CountProblem part = problem;
  part.options = options;
  CountResult result = solve_counts(part, cutoff);
  if (result.counts.empty()) return result;
  Counts counts(problem.options.size(), 0);
  for (std::size_t k = 0; k < index.size(); ++k) counts[index[k]] = result.counts[k];
  result.counts = std::move(counts);
  return result;
}

// One stage, no pipeline: as few layouts as reach the best time.
std::optional<Solver::Counts> Solver::fewest_layouts(const Stage& stage, const Counts& best,
                                                     double step_ms) const {
  const double m = space_.shape.num_microbatches;
  const CountProblem problem{variant_.options[0], space_.stage_layers[0], stage.capacity, m,
                             stage.end_ms};
  const double cutoff = step_ms * (1 + kTie) - m * stage.end_ms;
  const int most = static_cast<int>(layouts_of(best).size());
  for (int size = 1; size < most; ++size) {
    for (const std::vector<int>& layouts : subsets(num_layouts_, size)) {
      CountResult result = solve_layouts(problem, layouts, cutoff);
      if (!result.counts.empty()) return std::move(result.counts);
    }
  }
  return std::nullopt;
}

// For every pair of first and last layout and every number of changes the cheapest choice, if it
// costs at most `most`.
std::vector<Solver::Passage> Solver::passages(const Stages& stages, std::size_t stage,
                                              const Counts& best, double most) const {
  const CountProblem problem{variant_.options[stage], space_.stage_layers[stage],
                             stages[stage].capacity, 1, search::kInfinity};
  std::vector<Passage> out;
  const auto offer = [&](const Counts& counts) {
    const std::vector<int> layouts = layouts_of(counts);
    const int changes = static_cast<int>(layouts.size()) - 1;
    double cost = 0;
    for (std::size_t j = 0; j < counts.size(); ++j) cost += counts[j] * problem.options[j].cost;
    for (const int first : layouts) {
      for (const int last : layouts) {
        if (first == last && changes > 0) continue;
        const auto same = std::find_if(out.begin(), out.end(), [&](const Passage& one) {
          return one.first == first && one.last == last && one.changes == changes;
        });
        Passage passage{cost, first, last, changes, counts};
        if (same == out.end()) {
          out.push_back(std::move(passage));
        } else if (cost < same->cost) {
          *same = std::move(passage);
        }
      }
    }
  };
  offer(best);
  for (int size = 1; size <= std::min(kMostLayouts, num_layouts_); ++size) {
    for (const std::vector<int>& layouts : subsets(num_layouts_, size)) {
      const CountResult result = solve_layouts(problem, layouts, most * (1 + kTie));
      if (!result.counts.empty()) offer(result.counts);
    }
  }
  return out;
}

// One passage per stage, with the fewest changes in and between stages, no slower than the answer.
// Only the sum of the middle stages' times matters, so a dynamic program over (last layout,
// changes) keeps the least sum; first and last stage are enumerated.
class Solver::FewestChanges {
 public:
  FewestChanges(const Solver& solver, const Stages& stages,
                std::vector<std::vector<Passage>> choices, double most_ms)
      : solver_(solver), stages_(stages), choices_(std::move(choices)), most_ms_(most_ms) {}

  // Empty when there is none.
  std::vector<Passage> run() {
    for (std::size_t first = 0; first < choices_[0].size(); ++first) start_with(first);
    std::vector<Passage> out;
    for (std::size_t i = 0; i < best_.size(); ++i) out.push_back(choices_[i][best_[i]]);
    return out;
  }

 private:
  struct State {
    double sum = 0;
    std::vector<std::size_t> picked;
    int last = 0, changes = 0;
  };

  void start_with(std::size_t first) {
    const Passage& passage = choices_[0][first];
    std::vector<State> states = {{0, {first}, passage.last, passage.changes}};
    for (std::size_t stage = 1; stage < stages_.size(); ++stage) {
      std::vector<State> next;
      for (const State& state : states) {
        for (std::size_t k = 0; k < choices_[stage].size(); ++k) {
          const Passage& then = choices_[stage][k];
          State one{state.sum + then.cost, state.picked, then.last,
                    state.changes + then.changes + (then.first != state.last ? 1 : 0)};
          one.picked.push_back(k);
          if (one.changes >= fewest_) continue;
          stage + 1 == stages_.size() ? finish(one) : keep_least(next, std::move(one));
        }
      }
      states = std::move(next);
    }
  }

  static void keep_least(std::vector<State>& states, State one) {
    const auto same = std::find_if(states.begin(), states.end(), [&](const State& other) {
      return other.last == one.last && other.changes == one.changes;
    });
    if (same == states.end()) {
      states.push_back(std::move(one));
    } else if (one.sum < same->sum) {
      *same = std::move(one);
    }
  }

  void finish(const State& state) {
    std::vector<double> cost;
    for (std::size_t stage = 0; stage < state.picked.size(); ++stage) {
      cost.push_back(choices_[stage][state.picked[stage]].cost);
    }
    const std::vector<double> no_reductions(cost.size(), 0);
    if (solver_.step_ms(stages_, cost, no_reductions) > most_ms_) return;
    fewest_ = state.changes;
    best_ = state.picked;
  }

  const Solver& solver_;
  const Stages& stages_;
  std::vector<std::vector<Passage>> choices_;  // by stage
  double most_ms_;
  std::vector<std::size_t> best_;
  int fewest_ = std::numeric_limits<int>::max();
};

std::vector<Solver::Passage> Solver::fewest_changes(const Stages& stages,
                                                    const Answer& answer) const {
  const double most = answer.step_ms * (1 + kTie);
  std::vector<double> least = sums(answer.counts, &CountOption::cost);
  for (std::size_t i = 0; i < stages.size(); ++i) {
    least[i] =
        solve_counts({variant_.options[i], space_.stage_layers[i], stages[i].capacity}).value;
  }
  std::vector<std::vector<Passage>> choices;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    choices.push_back(passages(stages, i, answer.counts[i], latest(stages, least, i, most)));
  }
  return FewestChanges(*this, stages, std::move(choices), most).run();
}

void Solver::append_stage(std::vector<Strategy>& layers, const Counts& counts, int first,
                          int last) const {
  std::vector<int> order = {first};
  for (const int layout : layouts_of(counts)) {
    if (layout != first && layout != last) order.push_back(layout);
  }
  if (last != first) order.push_back(last);
  for (const int layout : order) {
    for (std::size_t j = 0; j < counts.size(); ++j) {
      if (layout_of_option_[j] != layout) continue;
      const auto& strategy = space_.layers[static_cast<std::size_t>(variant_.layers[j])];
      layers.insert(layers.end(), static_cast<std::size_t>(counts[j]), strategy);
    }
  }
}

Arrangement Solver::arrange(const Stages& stages, const Answer& answer) const {
  std::vector<Passage> chosen;
  const auto late = sums(answer.counts, &CountOption::late);
  if (num_stages() == 1) {
    Counts counts =
        fewest_layouts(stages[0], answer.counts[0], answer.step_ms).value_or(answer.counts[0]);
    const std::vector<int> layouts = layouts_of(counts);
    chosen.push_back({0, layouts.front(), layouts.back(), 0, std::move(counts)});
  } else if (step_ms(stages, sums(answer.counts, &CountOption::cost), late) <=
             step_ms(stages, sums(answer.counts, &CountOption::cost),
                     std::vector<double>(late.size(), 0))) {
    chosen = fewest_changes(stages, answer);
  }
  if (chosen.empty()) {
    // A reduction shows, so times leave no room: only the order inside stages is free.
    int last = -1;
    for (const Counts& counts : answer.counts) {
      std::vector<int> layouts = layouts_of(counts);
      const auto same = std::find(layouts.begin(), layouts.end(), last);
      if (same != layouts.end()) std::iter_swap(layouts.begin(), same);
      last = layouts.back();
      chosen.push_back({0, layouts.front(), last, 0, counts});
    }
  }
  Arrangement out;
  for (const Passage& passage : chosen) {
    append_stage(out.layers, passage.counts, passage.first, passage.last);
  }
  for (std::size_t i = 1; i < out.layers.size(); ++i) {
    if (!out.layers[i].same_layout(out.layers[i - 1])) ++out.transitions;
  }
  return out;
}

}  // namespace galvatron::galvatron2
