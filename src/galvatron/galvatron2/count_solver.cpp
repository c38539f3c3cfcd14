#include "galvatron/galvatron2/count_solver.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::galvatron2 {
namespace {

double below(double value) { return value - search::kRounding * std::abs(value); }

double objective(const CountProblem& problem, double cost, double late) {
  return problem.scale * cost + std::max(0.0, late - problem.threshold);
}

bool dominates(const CountOption& a, const CountOption& b) {
  return a.weight <= b.weight && a.cost <= b.cost && a.late <= b.late;
}

// Indices of options that no other one dominates; of equal ones the first.
std::vector<int> useful_options(std::span<const CountOption> options, bool late_counts) {
  std::vector<int> order(options.size());
  std::iota(order.begin(), order.end(), 0);
  const auto key = [&](int i) {
    CountOption option = options[static_cast<std::size_t>(i)];
    if (!late_counts) option.late = 0;
    return option;
  };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    const CountOption x = key(a), y = key(b);
    if (x.weight != y.weight) return x.weight < y.weight;
    if (x.cost != y.cost) return x.cost < y.cost;
    return x.late < y.late;
  });
  std::vector<int> kept;
  for (const int i : order) {
    const bool dominated =
        std::any_of(kept.begin(), kept.end(), [&](int k) { return dominates(key(k), key(i)); });
    if (!dominated) kept.push_back(i);
  }
  return kept;
}

// The dual solution that gives the root its bound: price of weight, share of `late`.
struct Dual {
  double late_share = 0;
  double price = 0;
  double bound = -search::kInfinity;
};

Dual dual_at(const CountProblem& problem, std::span<const CountOption> options, double late_share) {
  const search::LowerHull hull = cost_hull(options, problem.scale, late_share);
  const double average = static_cast<double>(problem.capacity) / problem.count;
  Dual dual;
  dual.late_share = late_share;
  dual.price = hull.price(average);
  dual.bound = problem.count * hull.at(average);
  if (late_share > 0) dual.bound -= late_share * problem.threshold;
  return dual;
}

// The bound is concave in late_share: a ternary search finds the best one nearly.
Dual best_dual(const CountProblem& problem, std::span<const CountOption> options) {
  Dual best = dual_at(problem, options, 0);
  if (problem.threshold == search::kInfinity || best.bound == search::kInfinity) return best;
  double low = 0, high = 1;
  const auto consider = [&](double share) {
    const Dual dual = dual_at(problem, options, share);
    if (dual.bound > best.bound) best = dual;
    return dual.bound;
  };
  consider(1);
  for (int step = 0; step < 16; ++step) {
    const double a = low + (high - low) / 3, b = high - (high - low) / 3;
    (consider(a) < consider(b) ? low : high) = consider(a) < consider(b) ? a : b;
  }
  return best;
}

// Depth-first over options, the least promising first (their count is nearly always 0); the last
// two are settled in closed form.
class CountSearch {
 public:
  CountSearch(const CountProblem& problem, double cutoff, std::int64_t max_nodes)
      : problem_(problem), best_(cutoff), max_nodes_(max_nodes) {
    const bool late_counts = problem.threshold != search::kInfinity;
    for (const int i : useful_options(problem.options, late_counts)) {
      index_.push_back(i);
      options_.push_back(problem.options[static_cast<std::size_t>(i)]);
    }
  }

  CountResult run() {
    CountResult out;
    if (options_.empty() || problem_.count == 0) return empty_result();
    dual_ = best_dual(problem_, options_);
    if (dual_.bound == search::kInfinity || dual_.bound >= below(best_)) return out;
    order_by_reduced_cost();
    try_pairs();
    fix_by_reduced_cost();
    build_suffixes();
    counts_.assign(options_.size(), 0);
    descend(0, problem_.count, problem_.capacity, 0, 0, 0);
    out.nodes = nodes_;
    if (nodes_ > max_nodes_) out.lower_bound = dual_.bound;
    if (best_counts_.empty()) return out;
    out.value = best_;
    out.lower_bound = nodes_ <= max_nodes_ ? best_ : std::min(best_, dual_.bound);
    out.counts = best_counts_;
    return out;
  }

 private:
  CountResult empty_result() const {
    CountResult out;
    if (problem_.count > 0 || problem_.capacity < 0) return out;
    out.value = out.lower_bound = objective(problem_, 0, 0);
    out.counts.assign(problem_.options.size(), 0);
    return out;
  }

  double priced(const CountOption& option) const {
    return problem_.scale * option.cost + dual_.late_share * option.late +
           dual_.price * static_cast<double>(option.weight);
  }

  void order_by_reduced_cost() {
    std::vector<int> order(options_.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return priced(options_[static_cast<std::size_t>(a)]) >
             priced(options_[static_cast<std::size_t>(b)]);
    });
    permute(order);
    const double least = priced(options_.back());
    for (const CountOption& option : options_) reduced_.push_back(priced(option) - least);
  }

  void permute(const std::vector<int>& order) {
    std::vector<int> index;
    std::vector<CountOption> options;
    for (const int i : order) {
      index.push_back(index_[static_cast<std::size_t>(i)]);
      options.push_back(options_[static_cast<std::size_t>(i)]);
    }
    index_ = std::move(index);
    options_ = std::move(options);
  }

  // A first answer from the most promising options, one or two at a time.
  void try_pairs() {
    constexpr std::size_t kTried = 8;
    const std::size_t size = options_.size();
    for (std::size_t a = size; a-- > size - std::min(size, kTried);) {
      counts_.assign(size, 0);
      settle(a, a, problem_.count, problem_.capacity, 0, 0);
      for (std::size_t b = a; b-- > size - std::min(size, kTried);) {
        counts_.assign(size, 0);
        settle(b, a, problem_.count, problem_.capacity, 0, 0);
      }
    }
  }

  // An option whose first use already lifts the bound to the best known value is never used.
  void fix_by_reduced_cost() {
    std::size_t drop = 0;
    while (drop + 1 < options_.size() && dual_.bound + reduced_[drop] >= below(best_)) ++drop;
    const auto cut = static_cast<std::ptrdiff_t>(drop);
    options_.erase(options_.begin(), options_.begin() + cut);
    index_.erase(index_.begin(), index_.begin() + cut);
    reduced_.erase(reduced_.begin(), reduced_.begin() + cut);
  }

  void build_suffixes() {
    shares_ = {0};
    if (problem_.threshold != search::kInfinity) {
      shares_ = {0, 1};
      if (dual_.late_share > 0 && dual_.late_share < 1) shares_.push_back(dual_.late_share);
    }
    for (std::size_t j = 0; j < options_.size(); ++j) {
      for (const double share : shares_) {
        suffix_.push_back(cost_hull(std::span(options_).subspan(j), problem_.scale, share));
      }
    }
  }

  double bound(std::size_t next, int items, std::int64_t capacity, double cost, double late) const {
    const double average = static_cast<double>(capacity) / items;
    double out = -search::kInfinity;
    for (std::size_t k = 0; k < shares_.size(); ++k) {
      double value = problem_.scale * cost + items * suffix_[next * shares_.size() + k].at(average);
      if (shares_[k] > 0) value += shares_[k] * (late - problem_.threshold);
      out = std::max(out, value);
    }
    return out;
  }

  void descend(std::size_t next, int items, std::int64_t capacity, double cost, double late,
               double lifted) {
    if (++nodes_ > max_nodes_) return;
    if (next + 2 >= options_.size()) {
      settle(next, options_.size() - 1, items, capacity, cost, late);
      return;
    }
    if (items > 0 && bound(next, items, capacity, cost, late) >= below(best_)) return;
    const CountOption& option = options_[next];
    for (int used = 0; used <= items; ++used) {
      const double reduced = lifted + used * reduced_[next];
      const std::int64_t left = capacity - used * option.weight;
      if (left < 0 || dual_.bound + reduced >= below(best_)) break;
      counts_[next] = used;
      descend(next + 1, items - used, left, cost + used * option.cost, late + used * option.late,
              reduced);
    }
    counts_[next] = 0;
  }

  // All remaining items take options a or b (a <= b; a == b: one option). The value is convex in
  // how many take a, so its minimum is at an end of what fits or beside the kink.
  void settle(std::size_t a, std::size_t b, int items, std::int64_t capacity, double cost,
              double late) {
    const CountOption& x = options_[a];
    const CountOption& y = options_[b];
    const std::int64_t spare = capacity - items * y.weight;  // when all take b
    const std::int64_t more = x.weight - y.weight;           // each that takes a instead
    std::int64_t low = 0, high = a == b ? 0 : items;
    if (more > 0) {
      if (spare < 0) return;
      high = std::min<std::int64_t>(high, spare / more);
    } else if (spare < 0) {
      if (more == 0) return;
      low = (-spare - more - 1) / -more;
    }
    if (low > high) return;
    const double late_step = x.late - y.late;
    std::int64_t candidates[4] = {low, high, low, low};
    if (problem_.threshold != search::kInfinity && late_step != 0) {
      const double kink = (problem_.threshold - late - items * y.late) / late_step;
      const double clamped = std::clamp(kink, static_cast<double>(low), static_cast<double>(high));
      candidates[2] = static_cast<std::int64_t>(std::floor(clamped));
      candidates[3] = static_cast<std::int64_t>(std::ceil(clamped));
    }
    for (const std::int64_t used : candidates) {
      const double value =
          objective(problem_, cost + items * y.cost + static_cast<double>(used) * (x.cost - y.cost),
                    late + items * y.late + static_cast<double>(used) * late_step);
      if (value >= below(best_)) continue;
      best_ = value;
      remember(a, static_cast<int>(used), b, items - static_cast<int>(used));
    }
  }

  // counts_ and the rest as counts of the problem's options.
  void remember(std::size_t a, int of_a, std::size_t b, int of_b) {
    best_counts_.assign(problem_.options.size(), 0);
    const auto at = [&](std::size_t j) -> int& {
      return best_counts_[static_cast<std::size_t>(index_[j])];
    };
    for (std::size_t j = 0; j < counts_.size(); ++j) at(j) = counts_[j];
    at(a) += of_a;
    at(b) += of_b;
  }

  const CountProblem& problem_;
  std::vector<int> index_;  // of options_ in the problem
  std::vector<CountOption> options_;
  std::vector<double> reduced_;
  std::vector<double> shares_;
  std::vector<search::LowerHull> suffix_;  // [option * shares + share]
  Dual dual_;
  double best_;
  std::vector<int> counts_;       // of options_
  std::vector<int> best_counts_;  // of the problem's options
  std::int64_t nodes_ = 0, max_nodes_;
};

// Depth-first like above, keeping every choice that is not dominated.
class FrontSearch {
 public:
  FrontSearch(std::span<const CountOption> options, int count, std::int64_t capacity,
              double max_cost, double enough_late, std::int64_t max_nodes)
      : all_(options), max_cost_(max_cost), enough_late_(enough_late), max_nodes_(max_nodes) {
    index_ = useful_options(options, true);
    for (const int i : index_) options_.push_back(options[static_cast<std::size_t>(i)]);
    for (std::size_t j = 0; j < options_.size(); ++j) {
      const std::span suffix = std::span(options_).subspan(j);
      cost_.push_back(cost_hull(suffix, 1, 0));
      late_.push_back(cost_hull(suffix, 0, 1));
    }
    counts_.assign(options_.size(), 0);
    if (!options_.empty() && capacity >= 0) descend(0, count, capacity, 0, 0);
  }

  CountFront take() {
    std::sort(front_.points.begin(), front_.points.end(),
              [](const auto& a, const auto& b) { return a.cost < b.cost; });
    front_.complete = nodes_ <= max_nodes_;
    return std::move(front_);
  }

 private:
  bool dominated(double cost, double late) const {
    const double capped = std::max(late, enough_late_);
    if (below(cost) > max_cost_) return true;
    return std::any_of(front_.points.begin(), front_.points.end(), [&](const auto& point) {
      return below(point.cost) <= cost && below(point.late) <= capped;
    });
  }

  void descend(std::size_t next, int items, std::int64_t capacity, double cost, double late) {
    if (++nodes_ > max_nodes_) return;
    if (items == 0) return keep(cost, late);
    const double average = static_cast<double>(capacity) / items;
    const double least = cost_[next].at(average);
    if (least == search::kInfinity) return;
    if (dominated(cost + items * least, late + items * late_[next].at(average))) return;
    const CountOption& option = options_[next];
    const bool last = next + 1 == options_.size();
    for (int used = items; used >= (last ? items : 0); --used) {
      const std::int64_t left = capacity - used * option.weight;
      if (left < 0) continue;
      counts_[next] = used;
      if (last || used == items) {
        keep(cost + used * option.cost, late + used * option.late);
      } else {
        descend(next + 1, items - used, left, cost + used * option.cost, late + used * option.late);
      }
    }
    counts_[next] = 0;
  }

  void keep(double cost, double late) {
    if (dominated(cost, late)) return;
    const double capped = std::max(late, enough_late_);
    std::erase_if(front_.points,
                  [&](const auto& point) { return cost <= point.cost && capped <= point.late; });
    std::vector<int> counts(all_.size(), 0);
    for (std::size_t j = 0; j < counts_.size(); ++j) {
      counts[static_cast<std::size_t>(index_[j])] = counts_[j];
    }
    front_.points.push_back({cost, capped, std::move(counts)});
  }

  std::span<const CountOption> all_;
  double max_cost_, enough_late_;
  std::int64_t max_nodes_, nodes_ = 0;
  std::vector<int> index_;
  std::vector<CountOption> options_;
  std::vector<search::LowerHull> cost_, late_;
  std::vector<int> counts_;
  CountFront front_;
};

}  // namespace

search::LowerHull cost_hull(std::span<const CountOption> options, double scale, double late_share) {
  std::vector<search::WeightedCost> points;
  points.reserve(options.size());
  for (const CountOption& option : options) {
    points.push_back(
        {static_cast<double>(option.weight), scale * option.cost + late_share * option.late});
  }
  return search::LowerHull(std::move(points));
}

double count_bound(const CountProblem& problem) {
  if (problem.count == 0)
    return problem.capacity < 0 ? search::kInfinity : objective(problem, 0, 0);
  double bound = dual_at(problem, problem.options, 0).bound;
  if (problem.threshold != search::kInfinity && bound != search::kInfinity) {
    bound = std::max(bound, dual_at(problem, problem.options, 1).bound);
  }
  return bound;
}

CountResult solve_counts(const CountProblem& problem, double cutoff, std::int64_t max_nodes) {
  return CountSearch(problem, cutoff, max_nodes).run();
}

CountFront count_front(std::span<const CountOption> options, int count, std::int64_t capacity,
                       double max_cost, double enough_late, std::int64_t max_nodes) {
  return FrontSearch(options, count, capacity, max_cost, enough_late, max_nodes).take();
}

}  // namespace galvatron::galvatron2
