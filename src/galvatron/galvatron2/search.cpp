#include "galvatron/galvatron2/search.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "galvatron/galvatron2/solver.h"
#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::galvatron2 {
namespace {

// What the solver is given: a variant of a space and a vocabulary strategy.
struct Candidate {
  std::size_t space = 0, variant = 0;
  int vocabulary = 0;
  double bound = 0;  // ms per sample
};

class Search {
 public:
  Search(const SearchOptions& options, const Profiles& profiles)
      : options_(options),
        profiles_(profiles),
        model_(options.job, profiles),
        limit_mb_(limit_mb(options.memory)) {}

  SearchResult run() {
    search::Certificate& certificate = result_.certificate;
    certificate.timed("costs", [&] { build(); });
    certificate.timed("bounds", [&] { bound_all(); });
    certificate.timed("solve", [&] { solve_all(); });
    if (best_value_ == search::kInfinity) return std::move(result_);
    certificate.timed("arrange", [&] { pick_fewest_transitions(); });
    certificate.timed("runners-up", [&] { find_runners_up(); });
    finish_certificate();
    return std::move(result_);
  }

 private:
  void build() {
    spaces_ = make_spaces(options_, model_);
    for (const Space& space : spaces_) {
      variants_.push_back(make_variants(options_, model_, space));
      auto& row = solvers_.emplace_back();
      for (const Variant& variant : variants_.back()) {
        row.push_back(std::make_unique<Solver>(space, variant));
      }
    }
  }

  std::vector<Stage> stages(const Candidate& candidate) const {
    return stage_limits(spaces_[candidate.space], variants_[candidate.space][candidate.variant],
                        candidate.vocabulary, limit_mb_);
  }
  Solver& solver(const Candidate& candidate) {
    return *solvers_[candidate.space][candidate.variant];
  }
  double samples(const Candidate& candidate) const {
    return static_cast<double>(spaces_[candidate.space].shape.global_batch);
  }

  void bound_all() {
    double least_missing = search::kInfinity;
    for (std::size_t space = 0; space < spaces_.size(); ++space) {
      for (std::size_t variant = 0; variant < variants_[space].size(); ++variant) {
        for (const int vocabulary : variants_[space][variant].vocabularies) {
          Candidate candidate{space, variant, vocabulary, 0};
          const auto limits = stages(candidate);
          candidate.bound = solver(candidate).bound(limits) / samples(candidate);
          ++result_.certificate.candidates;
          if (candidate.bound < search::kInfinity) {
            candidates_.push_back(candidate);
            continue;
          }
          ++result_.certificate.infeasible;
          const double missing = solver(candidate).missing_mb(limits);
          if (missing >= least_missing) continue;
          least_missing = missing;
          result_.closest_miss = {spaces_[space].shape, budget_for(limit_mb_ + missing)};
        }
      }
    }
    std::stable_sort(candidates_.begin(), candidates_.end(),
                     [](const auto& a, const auto& b) { return a.bound < b.bound; });
    if (!candidates_.empty()) result_.closest_miss.reset();
  }

  // The smallest budget whose usable part is `mb`.
  static Bytes budget_for(double mb) {
    const auto bytes = static_cast<std::int64_t>(std::ceil(mb * kMb));
    if (bytes < gibibytes(21).value) return {bytes};
    return {std::max(gibibytes(21).value, static_cast<std::int64_t>(std::ceil(mb / 0.8 * kMb)))};
  }

  void solve_all() {
    for (const Candidate& candidate : candidates_) {
      if (candidate.bound > best_value_ * (1 + kTie)) break;
      ++result_.certificate.solved;
      const auto limits = stages(candidate);
      const double cutoff = best_value_ * samples(candidate);
      // Equal ones too: they may have fewer transitions.
      const Answer answer = solver(candidate).solve(limits, cutoff * (1 + kTie) + 1e-300);
      result_.certificate.nodes += answer.nodes;
      lower_bound_ = std::min(lower_bound_, answer.lower_bound_ms / samples(candidate));
      if (!answer.found()) continue;
      const double value = answer.step_ms / samples(candidate);
      if (value < best_value_ * (1 - kTie)) tied_.clear();
      best_value_ = std::min(best_value_, value);
      tied_.push_back({candidate, answer});
    }
    result_.certificate.pruned = result_.certificate.candidates - result_.certificate.infeasible -
                                 result_.certificate.solved;
  }

  void pick_fewest_transitions() {
    int fewest = std::numeric_limits<int>::max();
    bool best_joined = false;
    for (const auto& [candidate, answer] : tied_) {
      const Arrangement arranged = solver(candidate).arrange(stages(candidate), answer);
      const Plan plan = make_plan(candidate, arranged.layers);
      // Then embedding and head as their neighbours, where that is free.
      const bool joined = plan.vocabulary.same_layout(plan.layers.front()) &&
                          plan.vocabulary.same_layout(plan.layers.back());
      if (arranged.transitions > fewest ||
          (arranged.transitions == fewest && joined <= best_joined && result_.best)) {
        continue;
      }
      fewest = arranged.transitions;
      best_joined = joined;
      result_.best = {plan, score(options_.job, profiles_, plan)};
    }
  }

  Plan make_plan(const Candidate& candidate, std::vector<Strategy> layers) const {
    const Space& space = spaces_[candidate.space];
    Plan plan;
    plan.world_size = options_.job.world_size;
    plan.pp_degree = space.shape.pp_degree;
    plan.global_batch = space.shape.global_batch;
    plan.num_microbatches = space.shape.num_microbatches;
    plan.schedule = options_.job.schedule;
    plan.default_zero_stage = options_.job.default_zero_stage;
    plan.layers_per_stage = space.stage_layers;
    plan.layers = std::move(layers);
    plan.vocabulary = space.vocabularies[static_cast<std::size_t>(candidate.vocabulary)];
    return plan;
  }

  // The best plan of every other batch, microbatch count and pipeline degree, best first.
  void find_runners_up() {
    if (options_.num_runners_up == 0) return;
    std::vector<double> best(spaces_.size(), search::kInfinity);
    std::vector<std::optional<std::pair<Candidate, Answer>>> found(spaces_.size());
    for (const Candidate& candidate : candidates_) {
      const Shape& shape = spaces_[candidate.space].shape;
      const Plan& winner = result_.best->plan;
      if (shape == Shape{winner.global_batch, winner.num_microbatches, winner.pp_degree}) {
        continue;
      }
      std::vector<double> sorted = best;
      std::sort(sorted.begin(), sorted.end());
      const std::size_t wanted =
          std::min<std::size_t>(static_cast<std::size_t>(options_.num_runners_up), sorted.size());
      if (candidate.bound >= sorted[wanted - 1]) break;
      if (candidate.bound >= best[candidate.space]) continue;
      Answer answer =
          solver(candidate).solve(stages(candidate), best[candidate.space] * samples(candidate));
      if (!answer.found()) continue;
      best[candidate.space] = answer.step_ms / samples(candidate);
      found[candidate.space] = {candidate, std::move(answer)};
    }
    for (const auto& one : found) {
      if (!one) continue;
      const auto& [candidate, answer] = *one;
      const auto arranged = solver(candidate).arrange(stages(candidate), answer);
      const Plan plan = make_plan(candidate, arranged.layers);
      result_.runners_up.push_back({plan, score(options_.job, profiles_, plan)});
    }
    auto& all = result_.runners_up;
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return a.score.samples_per_second > b.score.samples_per_second;
    });
    const auto wanted = static_cast<std::size_t>(options_.num_runners_up);
    if (all.size() > wanted) all.resize(wanted);
  }

  void finish_certificate() {
    result_.certificate.value =
        result_.best->score.step_ms / static_cast<double>(result_.best->plan.global_batch);
    const bool exact = lower_bound_ >= best_value_ * (1 - kTie);
    result_.certificate.lower_bound = exact ? result_.certificate.value : lower_bound_;
  }

  const SearchOptions& options_;
  const Profiles& profiles_;
  CostModel model_;
  double limit_mb_;
  std::vector<Space> spaces_;
  std::vector<std::vector<Variant>> variants_;
  std::vector<std::vector<std::unique_ptr<Solver>>> solvers_;
  std::vector<Candidate> candidates_;       // that fit, ascending bound
  double best_value_ = search::kInfinity;   // ms per sample
  double lower_bound_ = search::kInfinity;  // of what was solved
  std::vector<std::pair<Candidate, Answer>> tied_;
  SearchResult result_;
};

}  // namespace

SearchResult search_best_plan(const SearchOptions& options, const Profiles& profiles) {
  return Search(options, profiles).run();
}

}  // namespace galvatron::galvatron2
