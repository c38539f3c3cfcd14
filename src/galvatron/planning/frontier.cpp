#include "galvatron/planning/frontier.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::planning {
namespace {

// Times that differ by less are one.
constexpr double kSameTime = 1e-9;
// How exactly the least need is looked for by halving, before the closest miss says it.
constexpr double kLeastWidth = 0.02;
constexpr std::int64_t kNarrow = 64;  // a part of all budgets
constexpr int kFewestBudgets = 8;
constexpr int kMostBudgets = 10'000;

// Budgets between two steps that no search has told of: first .. last.
struct Unknown {
  Bytes first, last;
  double drop = 0;             // of the time from one end to the other, as a part of it
  bool touches_above = false;  // does the step above touch its own neighbour above?
  Bytes width() const { return last - first; }
  double weight() const { return drop * static_cast<double>(width().value + 1); }
};

// Comparisons of one search, where plans need not be the very best: a tenth of a second.
constexpr std::int64_t kMostWork = 30'000'000;

// What simplicity allows is left half to searches that end sooner, half to simpler plans.
search::SearchOptions sooner(search::SearchOptions options) {
  options.num_runners_up = 0;   // nobody sees them, and bounds of an enumeration depend on them
  options.simulate_within = 0;  // by one figure more memory is never slower
  if (options.simplicity == 0) return options;
  options.simplicity /= 2;
  options.tolerance = options.simplicity;
  options.most_work = kMostWork;
  return options;
}

class FrontierSearch {
 public:
  FrontierSearch(const PreparedSearch& prepared, const FrontierRequest& request,
                 const FrontierProgress& progress)
      : question_(prepared.question),
        inputs_(question_.inputs()),
        search_(inputs_, sooner(prepared.options)),
        most_(request.num_budgets),
        progress_(progress) {
    if (prepared.options.time_limit) {
      throw ConfigError("[search] --time-limit is of one search; with --frontier give --budgets");
    }
    const Bytes memory = prepared.question.memory;
    const bool is_all = prepared.question.memory_given == prepared.question.hardware.device_memory;
    frontier_.asked = memory;
    frontier_.simplicity = prepared.options.simplicity;
    frontier_.end = is_all ? 2 * memory : memory;
  }

  Frontier run() && {
    look_for_miss_below({0});
    find_ends();
    if (frontier_.steps.empty()) {
      look_for_miss_below(search::kAnyMemory);
      frontier_.closest_miss = ask(frontier_.end).closest_miss;
      return std::move(frontier_);
    }
    find_least();
    while (may_ask()) {
      const std::optional<Bytes> next = most_useful();
      if (!next) break;
      ask(*next);
    }
    return std::move(frontier_);
  }

 private:
  std::vector<FrontierStep>& steps() { return frontier_.steps; }
  bool may_ask() const { return frontier_.num_searches < most_; }

  void look_for_miss_below(Bytes need) { search_.look_for_closest_miss_below(need); }

  search::SearchResult search_in(Bytes budget, double faster_than = search::kInfinity) {
    search::SearchResult result = search_.best_plan(budget, faster_than);
    ++frontier_.num_searches;
    if (progress_) progress_(frontier_.num_searches);
    return result;
  }

  FrontierStep make_step(search::SearchResult result, Bytes budget) const {
    const search::FoundPlan& found = *result.best;
    // As the search counts it: that decides from where on it finds the plan.
    const cost::SearchedCost cost =
        cost::cost_as_searched(question_.inputs(found.plan.global_batch), found.plan);
    const double ms_per_sample =
        cost.step_time.value / static_cast<double>(found.plan.global_batch);
    const double bound = result.certificate.lower_bound;
    return {cost.peak_memory, budget, std::move(result), bound, ms_per_sample};
  }

  search::SearchResult ask(Bytes budget) {
    // A plan that needs less is known to fit.
    FrontierStep* below = nullptr;
    for (FrontierStep& step : steps()) {
      if (step.from <= budget) below = &step;
    }
    const double worth_it = 1 - std::max(kSameTime, frontier_.simplicity / 2);
    search::SearchResult result =
        search_in(budget, below ? worth_it * below->ms_per_sample : search::kInfinity);
    if (result.best) {
      add(make_step(result, budget));
    } else if (below) {
      below->to = std::max(below->to, budget);
      below->bound = std::min(below->bound, result.certificate.lower_bound);
    } else {
      frontier_.too_little = std::max(frontier_.too_little, budget);
    }
    return result;
  }

  // Plans that need more and are no faster make room: what is best in a budget is best in it
  // whatever budget it was found in.
  void add(FrontierStep step) {
    const double time = step.ms_per_sample;
    const auto covers = [&](const FrontierStep& other) {
      return other.from <= step.from && other.ms_per_sample <= time * (1 + kSameTime);
    };
    const auto known = std::find_if(steps().rbegin(), steps().rend(), covers);
    if (known != steps().rend()) {
      known->to = std::max(known->to, step.to);
      known->bound = std::min(known->bound, step.bound);
      return;
    }
    std::erase_if(steps(), [&](const FrontierStep& other) {
      const bool useless =
          other.from >= step.from && time <= std::max((1 + frontier_.simplicity) * other.bound,
                                                      (1 + kSameTime) * other.ms_per_sample);
      if (useless) {
        step.to = std::max(step.to, other.to);
        step.bound = std::min(step.bound, other.bound);
      }
      return useless;
    });
    const auto place = std::find_if(steps().begin(), steps().end(), [&](const FrontierStep& other) {
      return other.from > step.from;
    });
    steps().insert(place, std::move(step));
  }

  // Above the last step more memory gains nothing, or was not asked for.
  void find_ends() {
    search::SearchResult result = search_in(search::kAnyMemory);
    if (!result.best) return;
    frontier_.unlimited = make_step(std::move(result), search::kAnyMemory);
    if (frontier_.unlimited->from <= frontier_.end) {
      add(*frontier_.unlimited);
      steps().back().to = frontier_.end;
    } else {
      ask(frontier_.end);
    }
    if (frontier_.asked < frontier_.end && !frontier_.step_at(frontier_.asked)) {
      ask(frontier_.asked);
    }
  }

  // Halves the budgets in which nothing may fit, then asks for the leanest plan: by then few shapes
  // are left to look at.
  void find_least() {
    const auto least = [&] { return steps().front().from; };
    const auto width = [&] { return least() - frontier_.too_little; };
    while (may_ask() &&
           static_cast<double>(width().value) > kLeastWidth * static_cast<double>(least().value)) {
      ask(Bytes{frontier_.too_little.value + width().value / 2});
    }
    if (!may_ask()) return;
    look_for_miss_below(least());
    const search::SearchResult result = search_in(std::max(frontier_.too_little, Bytes{1}));
    look_for_miss_below({0});
    if (result.closest_miss) ask(result.closest_miss->needed);
    frontier_.too_little = least() - Bytes{1};
    frontier_.least_is_exact = true;
  }

  std::vector<Unknown> unknown() {
    std::vector<Unknown> out;
    for (std::size_t i = 0; i + 1 < steps().size(); ++i) {
      const FrontierStep& below = steps()[i];
      const FrontierStep& above = steps()[i + 1];
      const Bytes first = below.to + Bytes{1}, last = above.from - Bytes{1};
      if (first > last) continue;
      const bool touches = i + 2 < steps().size() && above.to + Bytes{1} == steps()[i + 2].from;
      out.push_back({first, last, below.ms_per_sample / above.ms_per_sample - 1, touches});
    }
    return out;
  }

  // The middle of what is worth most to know. Where that is narrow already, a byte below the step
  // above it first: it may be one large step.
  std::optional<Bytes> most_useful() {
    const std::vector<Unknown> parts = unknown();
    const auto most = std::max_element(
        parts.begin(), parts.end(),
        [](const Unknown& a, const Unknown& b) { return a.weight() < b.weight(); });
    if (most == parts.end()) return std::nullopt;
    const Bytes all = frontier_.end - frontier_.too_little;
    const bool narrow = kNarrow * most->width().value < all.value;
    if (narrow && !most->touches_above) return most->last;
    return most->first + Bytes{most->width().value / 2};
  }

  const Question& question_;
  const cost::CostInputs inputs_;  // of the first batch
  search::BudgetSearch search_;
  int most_;
  const FrontierProgress& progress_;
  Frontier frontier_;
};

}  // namespace

bool Frontier::touches_next(std::size_t step) const {
  return step + 1 == steps.size() || steps[step].to + Bytes{1} == steps[step + 1].from;
}

double Frontier::off_by(std::size_t step) const {
  const double bound = touches_next(step) ? steps[step].bound : steps[step + 1].bound;
  const double off = steps[step].ms_per_sample / bound - 1;
  return off < kSameTime ? 0 : off;
}

bool Frontier::is_complete() const {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!touches_next(i)) return false;
  }
  return true;
}

std::optional<std::size_t> Frontier::step_at(Bytes memory) const {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].from <= memory && memory <= steps[i].to) return i;
  }
  return std::nullopt;
}

OptionList frontier_options(FrontierRequest& request) {
  OptionList list;
  list.group("Output");
  list.count("budgets", request.num_budgets, {kFewestBudgets, kMostBudgets},
             "Searches that --frontier may take: more of them show finer steps");
  return list;
}

Frontier find_frontier(const PreparedSearch& prepared, const FrontierRequest& request,
                       const FrontierProgress& progress) {
  return FrontierSearch(prepared, request, progress).run();
}

}  // namespace galvatron::planning
