#include "galvatron/search/search.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <tuple>

#include "galvatron/search/search_inputs.h"
#include "galvatron/search/shapes.h"

namespace galvatron::search {
namespace {

// Comparisons of labels that one exact attempt at a shape may take.
constexpr std::int64_t kExactWork = 100'000'000;
constexpr std::int64_t kRunnerUpWork = 100'000'000;  // all of them
// Enumerated shapes so much slower than the best plan are runners-up or simulated, where either is
// wanted.
constexpr double kEnumeratedSlack = 1.02;
// The closed formula of interleaved stages may be above their simulation (cost/pipeline_time.h): so
// much further than the others they are worth a look.
constexpr double kInterleavedExcess = 1.1;
// What choosing by simulation may take: enumerations and their branches, plans, and the steps of
// their lists, layers times microbatches.
constexpr int kMostReopened = 6, kMostSimulated = 24;
constexpr std::int64_t kReopenedBranches = 5'000, kMostSimulatedSteps = 100'000;

// A plan of a shape; the best of the shape or of a part of it.
struct Solution {
  ShapeCandidate* shape;
  ShapeAnswer answer;
  double ms_per_sample() const { return shape->ms_per_sample(answer); }
};

class Search {
 public:
  Search(SearchInputs& inputs, SharedPipelines& pipelines)
      : inputs_(inputs),
        pipelines_(pipelines),
        pace_(inputs.options().time_limit, inputs.options().progress,
              [this] { return progress(); }),
        best_(inputs.options().faster_than) {}

  SearchResult run() {
    Certificate& certificate = result_.certificate;
    certificate.timed("shapes", [&] {
      shapes_ = make_shapes(inputs_, pipelines_, &certificate.infeasible);
      certificate.candidates = certificate.infeasible;
      for (const auto& shape : shapes_) push(*shape);
    });
    certificate.timed("search", [&] { search_best_first(); });
    certificate.ended_by = pace_.ended_by();
    say_bounds();
    if (solutions_.empty()) {
      if (certificate.ended_by.empty()) {
        certificate.timed("closest miss", [&] { find_closest_miss(); });
      }
      return std::move(result_);
    }
    certificate.timed("prediction", [&] { finish(); });
    if (inputs_.options().simulate_within > 0) {
      certificate.timed("simulation", [&] { choose_by_simulation(); });
    }
    certificate.timed("runners-up", [&] { find_runners_up(); });
    certificate.nodes = work_.nodes;
    return std::move(result_);
  }

 private:
  struct Entry {
    ShapeCandidate* shape;
    double bound;
    std::int64_t order;  // of pushing: decides between equal bounds
  };
  static bool later(const Entry& a, const Entry& b) {
    const auto key = [](const Entry& one) {
      return std::tuple(one.shape->wants_cutoff(), one.bound, one.order);
    };
    return key(a) > key(b);
  }

  void push(ShapeCandidate& shape) {
    if (shape.bound() == kInfinity) return;
    queue_.push_back({&shape, shape.bound(), num_pushed_++});
    std::push_heap(queue_.begin(), queue_.end(), later);
  }
  ShapeCandidate& pop() {
    std::pop_heap(queue_.begin(), queue_.end(), later);
    ShapeCandidate& shape = *queue_.back().shape;
    queue_.pop_back();
    return shape;
  }

  // One that is being looked into; else that of the smallest microbatches, which fit if any do.
  ShapeCandidate& pop_hastily() {
    const auto key = [](const Entry& entry) {
      const ShapeCandidate& shape = *entry.shape;
      const double samples = shape.shared().samples() / shape.shape().num_microbatches;
      const bool looked_into = shape.outcome() == ShapeCandidate::Outcome::kLookedInto;
      return std::tuple(shape.wants_cutoff(), !looked_into, samples, entry.bound, entry.order);
    };
    const auto first =
        std::min_element(queue_.begin(), queue_.end(),
                         [&](const Entry& a, const Entry& b) { return key(a) < key(b); });
    ShapeCandidate& shape = *first->shape;
    queue_.erase(first);
    std::make_heap(queue_.begin(), queue_.end(), later);
    return shape;
  }

  int wanted() const { return inputs_.options().num_runners_up; }

  // From where on plans of the shape are of no use, before runners-up are looked for. Where plans
  // are simulated the same with runners-up and without: which plan is chosen does not depend on
  // them.
  double cutoff_of(const ShapeCandidate& shape) const {
    const bool near_is_useful = wanted() > 0 || inputs_.options().simulate_within > 0;
    if (shape.wants_cutoff() && near_is_useful) return best_ * kEnumeratedSlack;
    return best_ * (1 - inputs_.options().tolerance);
  }

  // Always the shape of the lowest bound. When none is below the best plan found, that plan is
  // optimal.
  void search_best_first() {
    std::vector<ShapeCandidate*> pruned;
    while (!queue_.empty() && !pace_.over()) {
      const bool hasty = solutions_.empty() && pace_.half_over();
      ShapeCandidate& shape = hasty ? pop_hastily() : pop();
      const double cutoff = cutoff_of(shape);
      at_work_ = shape.bound();
      if (shape.bound() < cutoff * (1 - kRounding)) {
        advance(shape, {.best = best_,
                        .cutoff = cutoff,
                        .exact_work = std::min(kExactWork, inputs_.options().most_work),
                        .hasty = hasty,
                        .interrupted = pace_.interrupted()});
      } else {
        pruned.push_back(&shape);
      }
    }
    for (ShapeCandidate* shape : pruned) {
      if (!shape->wants_cutoff()) push(*shape);
    }
    count_outcomes();
  }

  SearchProgress progress() const {
    SearchProgress out;
    out.candidates = static_cast<std::int64_t>(shapes_.size());
    out.decided = out.candidates - static_cast<std::int64_t>(queue_.size());
    out.best = best_;
    out.bound = std::min(best_, at_work_);
    for (const Entry& entry : queue_) out.bound = std::min(out.bound, entry.bound);
    for (const auto& shape : shapes_) out.bound = std::min(out.bound, shape->closed_bound());
    return out;
  }

  void advance(ShapeCandidate& shape, const Effort& effort) {
    if (auto answer = shape.advance(effort, work_)) {
      best_ = std::min(best_, shape.ms_per_sample(*answer));
      solutions_.push_back({&shape, std::move(*answer)});
    }
    push(shape);
  }

  void count_outcomes() {
    using Outcome = ShapeCandidate::Outcome;
    Certificate& certificate = result_.certificate;
    for (const auto& shape : shapes_) {
      lower_bound_ = std::min({lower_bound_, shape->bound(), shape->closed_bound()});
      const Outcome outcome = shape->outcome();
      if (shape->wants_cutoff()) {
        ++certificate.interleaved;
        certificate.interleaved_opened += outcome != Outcome::kPruned;
        certificate.interleaved_given_up += outcome == Outcome::kGivenUp;
        continue;
      }
      ++certificate.candidates;
      certificate.pruned += outcome == Outcome::kPruned;
      certificate.infeasible += outcome == Outcome::kTooLarge;
      certificate.solved += outcome == Outcome::kLookedInto;
    }
  }

  double slack() const { return 1 + inputs_.options().simplicity; }

  // Not slower than the solution, or the best one, by more than simplicity allows.
  FoundPlan describe(const Solution& solution) const {
    const double fastest = std::max(best_, solution.ms_per_sample());
    return solution.shape->describe(solution.answer, slack() * fastest);
  }

  // Of all that are near enough to the best the one of fewest runs; of equal ones the fastest.
  FoundPlan simplest() {
    FoundPlan out = describe(solutions_.front());
    shown_ = solutions_.front().shape;
    for (std::size_t i = 1; i < solutions_.size(); ++i) {
      if (solutions_[i].ms_per_sample() > best_ * slack()) break;
      FoundPlan other = solutions_[i].shape->describe(solutions_[i].answer, slack() * best_);
      if (other.num_runs() >= out.num_runs()) continue;
      other.runs_before = std::max(out.runs_before, out.num_runs());
      out = std::move(other);
      shown_ = solutions_[i].shape;
    }
    return out;
  }

  void sort_solutions() {
    std::stable_sort(
        solutions_.begin(), solutions_.end(),
        [](const Solution& a, const Solution& b) { return a.ms_per_sample() < b.ms_per_sample(); });
  }

  void finish() {
    sort_solutions();
    result_.best = simplest();
    Certificate& certificate = result_.certificate;
    certificate.runs = result_.best->num_runs();
    certificate.runs_before = std::max(certificate.runs, result_.best->runs_before);
    certificate.simplicity_cost = result_.best->ms_per_sample() / best_ - 1;
  }

  // Of the best plan, or of the one that was known.
  void say_bounds() {
    Certificate& certificate = result_.certificate;
    certificate.lower_bound = lower_bound_;
    if (best_ == kInfinity) return;
    certificate.value = best_;
    const bool exact = lower_bound_ >= best_ * (1 - 10 * kRounding);
    certificate.lower_bound = exact ? best_ : lower_bound_;
  }

  // From where on by the formula the simulation is not asked.
  double simulated_below(const ShapeCandidate& shape) const {
    return best_ * (1 + inputs_.options().simulate_within) *
           (shape.wants_cutoff() ? kInterleavedExcess : 1);
  }

  // Plans of the shapes that may be better when simulated, as far as they are found at no more
  // work than the answer took.
  void look_for_near_plans() {
    const std::int64_t most =
        work_.comparisons + std::clamp(work_.comparisons, kRunnerUpWork / 50, kRunnerUpWork);
    while (!queue_.empty() && work_.comparisons < most && !pace_.over() &&
           queue_.front().bound < simulated_below(*queue_.front().shape) * (1 - kRounding)) {
      ShapeCandidate& shape = pop();
      if (has_plan(shape)) continue;
      advance(shape, {.best = best_,
                      .cutoff = simulated_below(shape),
                      .exact_work = kRunnerUpWork / 10,
                      .thorough = false,
                      .interrupted = pace_.interrupted()});
    }
    std::vector<ShapeCandidate*> enumerations;
    for (const auto& shape : shapes_) {
      if (!shape->wants_cutoff() || has_plan(*shape)) continue;
      shape->reopen();
      if (shape->bound() < simulated_below(*shape)) enumerations.push_back(shape.get());
    }
    std::stable_sort(enumerations.begin(), enumerations.end(),
                     [](const auto* a, const auto* b) { return a->bound() < b->bound(); });
    enumerations.resize(std::min<std::size_t>(enumerations.size(), kMostReopened));
    for (ShapeCandidate* shape : enumerations) {
      if (pace_.over()) break;
      auto answer = shape->advance({.best = best_,
                                    .cutoff = simulated_below(*shape),
                                    .branches = kReopenedBranches,
                                    .interrupted = pace_.interrupted()},
                                   work_);
      if (answer) solutions_.push_back({shape, std::move(*answer)});
    }
    sort_solutions();
  }

  // The formula's best plan and the best of each shape near it, by their simulated steps. Another
  // one is taken for more than simplicity would give away.
  void choose_by_simulation() {
    look_for_near_plans();
    Certificate& certificate = result_.certificate;
    const double of_formula = result_.best->simulated_ms_per_sample();
    double least = of_formula;
    certificate.simulated = 1;
    std::int64_t steps = 0;
    for (const Solution* one : best_of_shapes()) {
      const ShapeCandidate& shape = *one->shape;
      if (&shape == shown_ || one->ms_per_sample() >= simulated_below(shape)) continue;
      steps += static_cast<std::int64_t>(inputs_.num_layers()) * shape.shape().num_microbatches;
      if (certificate.simulated == kMostSimulated || steps > kMostSimulatedSteps || pace_.over()) {
        break;
      }
      FoundPlan plan = describe(*one);
      ++certificate.simulated;
      const double taken = plan.simulated_ms_per_sample();
      if (taken >= least || taken * slack() >= of_formula) continue;
      if (!result_.by_formula) result_.by_formula = std::move(result_.best);
      result_.best = std::move(plan);
      least = taken;
      shown_ = one->shape;
    }
    certificate.simulated_value = least;
    certificate.simulated_of_formula = of_formula;
    // Those found further away than any runner-up that was enumerated before are none.
    std::erase_if(solutions_, [&](const Solution& one) {
      return one.shape->wants_cutoff() && one.shape != shown_ &&
             one.ms_per_sample() >= best_ * kEnumeratedSlack;
    });
  }

  // The best plan of each shape that has one, in the order of `solutions_`.
  std::vector<const Solution*> best_of_shapes() const {
    std::vector<const Solution*> out;
    for (const Solution& one : solutions_) {
      if (std::none_of(out.begin(), out.end(),
                       [&](const Solution* known) { return known->shape == one.shape; })) {
        out.push_back(&one);
      }
    }
    return out;
  }
  bool has_plan(const ShapeCandidate& shape) const {
    return std::any_of(solutions_.begin(), solutions_.end(),
                       [&](const Solution& one) { return one.shape == &shape; });
  }

  // Goes on, best first, until enough other shapes have a plan: with little work for each.
  void find_runners_up() {
    const auto enough = static_cast<std::size_t>(wanted()) + 1;
    const std::int64_t most = work_.comparisons + kRunnerUpWork;
    while (best_of_shapes().size() < enough && !queue_.empty() && work_.comparisons < most &&
           !pace_.over()) {
      ShapeCandidate& shape = pop();
      if (has_plan(shape)) continue;
      advance(shape, {.best = best_,
                      .exact_work = kRunnerUpWork / 10,
                      .thorough = false,
                      .interrupted = pace_.interrupted()});
    }
    sort_solutions();
    for (const Solution* other : best_of_shapes()) {
      const bool is_best = other == &solutions_.front() && !result_.by_formula;
      if (other->shape == shown_ || is_best) continue;
      if (result_.runners_up.size() + 1 == enough) break;
      result_.runners_up.push_back(describe(*other));
    }
  }

  // The most promising shapes first, so that the others are out by their bound.
  void find_closest_miss() {
    if (inputs_.options().closest_miss_below.value == 0 ||
        inputs_.options().faster_than < kInfinity) {
      return;
    }
    std::vector<std::tuple<bool, std::int64_t, ShapeCandidate*>> order;
    for (const auto& shape : shapes_) {
      order.emplace_back(shape->wants_cutoff(), shape->least_bytes_bound(), shape.get());
    }
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
      return std::pair(std::get<0>(a), std::get<1>(a)) < std::pair(std::get<0>(b), std::get<1>(b));
    });
    std::int64_t least = inputs_.options().closest_miss_below.value;
    for (const auto& [last, bound, shape] : order) {
      if (bound >= least) continue;
      const std::int64_t bytes = shape->least_bytes(least);
      if (bytes >= least) continue;
      least = bytes;
      result_.closest_miss = {Bytes{bytes}, shape->shape().pp_degree,
                              shape->shape().num_microbatches, shape->shared().global_batch()};
    }
  }

  SearchInputs& inputs_;
  SharedPipelines& pipelines_;
  Pace pace_;
  std::vector<std::unique_ptr<ShapeCandidate>> shapes_;
  std::vector<Entry> queue_;  // a heap, lowest bound first
  std::int64_t num_pushed_ = 0;
  std::vector<Solution> solutions_;
  const ShapeCandidate* shown_ = nullptr;  // of result_.best
  double best_;                            // ms per sample
  double at_work_ = 0;                     // bound of the shape that is asked at the moment
  double lower_bound_ = kInfinity;         // of all shapes, when the search ends
  SearchWork work_;
  SearchResult result_;
};

}  // namespace

SearchResult search_best_plan(const cost::CostInputs& inputs, const SearchOptions& options) {
  return BudgetSearch(inputs, options).best_plan(options.memory);
}

struct BudgetSearch::Shared {
  SearchInputs inputs;
  SharedPipelines pipelines;
};

BudgetSearch::BudgetSearch(const cost::CostInputs& inputs, const SearchOptions& options)
    : shared_(new Shared{{inputs, options}, {}}) {}
BudgetSearch::~BudgetSearch() = default;

SearchResult BudgetSearch::best_plan(Bytes memory, double faster_than) {
  shared_->inputs.set_memory(memory);
  shared_->inputs.look_for_faster_than(faster_than);
  return Search(shared_->inputs, shared_->pipelines).run();
}

void BudgetSearch::look_for_closest_miss_below(Bytes need) {
  shared_->inputs.look_for_closest_miss_below(need);
}

}  // namespace galvatron::search
