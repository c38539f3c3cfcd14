#include "galvatron/search/galvatron2_search.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "galvatron/search/galvatron2_solver.h"
#include "galvatron/search/tolerance.h"

namespace galvatron::search {
namespace {

// What the solver is given: a variant of a space and a vocabulary strategy.
struct Galvatron2Candidate {
  std::size_t space = 0, variant = 0;
  int vocabulary = 0;
  double bound = 0;  // ms per sample
};

class Galvatron2Search {
 public:
  Galvatron2Search(const Galvatron2SearchOptions& options,
                   const profiles::Galvatron2Profiles& profiles)
      : options_(options),
        profiles_(profiles),
        model_(options.job, profiles),
        limit_mb_(cost::galvatron2_limit_mb(options.memory)) {}

  Galvatron2SearchResult run() {
    Certificate& certificate = result_.certificate;
    certificate.timed("costs", [&] { build(); });
    certificate.timed("bounds", [&] { bound_all(); });
    certificate.timed("solve", [&] { solve_all(); });
    if (best_value_ == kInfinity) return std::move(result_);
    certificate.timed("arrange", [&] { pick_fewest_transitions(); });
    certificate.timed("runners-up", [&] { find_runners_up(); });
    finish_certificate();
    return std::move(result_);
  }

 private:
  void build() {
    spaces_ = galvatron2_spaces(options_, model_);
    for (const Galvatron2Space& space : spaces_) {
      variants_.push_back(galvatron2_variants(options_, model_, space));
      auto& row = solvers_.emplace_back();
      for (const Galvatron2Variant& variant : variants_.back()) {
        row.push_back(std::make_unique<Galvatron2Solver>(space, variant));
      }
    }
  }

  std::vector<Galvatron2Stage> stages(const Galvatron2Candidate& candidate) const {
    return galvatron2_stage_limits(spaces_[candidate.space],
                                   variants_[candidate.space][candidate.variant],
                                   candidate.vocabulary, limit_mb_);
  }
  Galvatron2Solver& solver(const Galvatron2Candidate& candidate) {
    return *solvers_[candidate.space][candidate.variant];
  }
  double samples(const Galvatron2Candidate& candidate) const {
    return static_cast<double>(spaces_[candidate.space].shape.global_batch);
  }

  void bound_all() {
    double least_missing = kInfinity;
    for (std::size_t space = 0; space < spaces_.size(); ++space) {
      for (std::size_t variant = 0; variant < variants_[space].size(); ++variant) {
        for (const int vocabulary : variants_[space][variant].vocabularies) {
          Galvatron2Candidate candidate{space, variant, vocabulary, 0};
          const auto limits = stages(candidate);
          candidate.bound = solver(candidate).bound(limits) / samples(candidate);
          ++result_.certificate.candidates;
          if (candidate.bound < kInfinity) {
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
    const auto bytes = static_cast<std::int64_t>(std::ceil(mb * cost::kGalvatron2Mb));
    if (bytes < gibibytes(21).value) return {bytes};
    return {std::max(gibibytes(21).value,
                     static_cast<std::int64_t>(std::ceil(mb / 0.8 * cost::kGalvatron2Mb)))};
  }

  void solve_all() {
    for (const Galvatron2Candidate& candidate : candidates_) {
      if (candidate.bound > best_value_ * (1 + kTie)) break;
      ++result_.certificate.solved;
      const auto limits = stages(candidate);
      const double cutoff = best_value_ * samples(candidate);
      // Equal ones too: they may have fewer transitions.
      const Galvatron2Answer answer = solver(candidate).solve(limits, cutoff * (1 + kTie) + 1e-300);
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
      const Galvatron2Arrangement arranged = solver(candidate).arrange(stages(candidate), answer);
      const plan::Galvatron2Plan plan = make_plan(candidate, arranged.layers);
      // Then embedding and head as their neighbours, where that is free.
      const bool joined = plan.vocabulary.same_layout(plan.layers.front()) &&
                          plan.vocabulary.same_layout(plan.layers.back());
      if (arranged.transitions > fewest ||
          (arranged.transitions == fewest && joined <= best_joined && result_.best)) {
        continue;
      }
      fewest = arranged.transitions;
      best_joined = joined;
      result_.best = {plan, cost::score(options_.job, profiles_, plan)};
    }
  }

  plan::Galvatron2Plan make_plan(const Galvatron2Candidate& candidate,
                                 std::vector<plan::Galvatron2Strategy> layers) const {
    const Galvatron2Space& space = spaces_[candidate.space];
    plan::Galvatron2Plan plan;
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
    std::vector<double> best(spaces_.size(), kInfinity);
    std::vector<std::optional<std::pair<Galvatron2Candidate, Galvatron2Answer>>> found(
        spaces_.size());
    for (const Galvatron2Candidate& candidate : candidates_) {
      const cost::Galvatron2Shape& shape = spaces_[candidate.space].shape;
      const plan::Galvatron2Plan& winner = result_.best->plan;
      if (shape ==
          cost::Galvatron2Shape{winner.global_batch, winner.num_microbatches, winner.pp_degree}) {
        continue;
      }
      std::vector<double> sorted = best;
      std::sort(sorted.begin(), sorted.end());
      const std::size_t wanted =
          std::min<std::size_t>(static_cast<std::size_t>(options_.num_runners_up), sorted.size());
      if (candidate.bound >= sorted[wanted - 1]) break;
      if (candidate.bound >= best[candidate.space]) continue;
      Galvatron2Answer answer =
          solver(candidate).solve(stages(candidate), best[candidate.space] * samples(candidate));
      if (!answer.found()) continue;
      best[candidate.space] = answer.step_ms / samples(candidate);
      found[candidate.space] = {candidate, std::move(answer)};
    }
    for (const auto& one : found) {
      if (!one) continue;
      const auto& [candidate, answer] = *one;
      const auto arranged = solver(candidate).arrange(stages(candidate), answer);
      const plan::Galvatron2Plan plan = make_plan(candidate, arranged.layers);
      result_.runners_up.push_back({plan, cost::score(options_.job, profiles_, plan)});
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

  const Galvatron2SearchOptions& options_;
  const profiles::Galvatron2Profiles& profiles_;
  cost::Galvatron2CostModel model_;
  double limit_mb_;
  std::vector<Galvatron2Space> spaces_;
  std::vector<std::vector<Galvatron2Variant>> variants_;
  std::vector<std::vector<std::unique_ptr<Galvatron2Solver>>> solvers_;
  std::vector<Galvatron2Candidate> candidates_;  // that fit, ascending bound
  double best_value_ = kInfinity;                // ms per sample
  double lower_bound_ = kInfinity;               // of what was solved
  std::vector<std::pair<Galvatron2Candidate, Galvatron2Answer>> tied_;
  Galvatron2SearchResult result_;
};

}  // namespace

Galvatron2SearchResult search_galvatron2(const Galvatron2SearchOptions& options,
                                         const profiles::Galvatron2Profiles& profiles) {
  return Galvatron2Search(options, profiles).run();
}

}  // namespace galvatron::search
