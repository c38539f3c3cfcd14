#include "regret/contenders.h"

#include <algorithm>
#include <random>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/partition.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/search/search.h"

#include "runtime/random_plan.h"

namespace galvatron::bench {
namespace {

// Of the way from the least memory that any plan needs to that of the fastest one.
constexpr double kBudgetShares[] = {1, 0.5, 0.15};
constexpr int kMostMicrobatches = 8;

class Chooser {
 public:
  Chooser(const cost::CostInputs& inputs, const ContenderCounts& counts)
      : inputs_(inputs), counts_(counts), world_size_(inputs.hardware.world_size) {}

  Contenders choose() {
    add("plain", uniform({}, 1, 1, plan::ScheduleKind::k1F1B));
    out_.plans.push_back(out_.plans.front());
    out_.plans.back().origin = "plain again";
    add_searched();
    add_uniform();
    add_random();
    return std::move(out_);
  }

 private:
  plan::Plan uniform(const plan::LayerStrategy& strategy, int pp_degree, int num_microbatches,
                     plan::ScheduleKind schedule) const {
    return plan::uniform_plan(inputs_.model, inputs_.job, world_size_, strategy, pp_degree,
                              num_microbatches, schedule);
  }

  bool fits(const plan::Plan& plan) const {
    return !plan::check_plan(plan, inputs_.model, {world_size_, inputs_.job.seq_length});
  }

  // False for one that is there already, that cannot be trained, or whose schedule is priced for
  // more than the executor does yet (zb-h1).
  bool add(const std::string& origin, const plan::Plan& plan) {
    const auto form = plan::traits(plan.pipeline.schedule).closed_form;
    if (form == plan::ClosedForm::kNone || !fits(plan) || !names_.insert(name(plan)).second)
      return false;
    out_.plans.push_back({origin, plan, cost::estimate(inputs_, plan)});
    return true;
  }

  search::SearchResult search(Bytes memory, int runners_up) const {
    search::SearchOptions options;
    options.memory = memory;
    options.num_runners_up = runners_up;
    return search::search_best_plan(inputs_, options);
  }

  void add_searched() {
    const auto fastest = search(search::kAnyMemory, 0);
    const auto leanest = search(Bytes{1}, 0);
    if (!fastest.best || !leanest.closest_miss) return;
    const Bytes most = fastest.best->cost.peak_memory(), least = leanest.closest_miss->needed;
    const int each = counts_.searched / static_cast<int>(std::size(kBudgetShares));
    for (const double share : kBudgetShares) {
      const Bytes memory{least.value + static_cast<std::int64_t>(
                                           share * static_cast<double>((most - least).value))};
      const auto found = search(memory, each);
      if (!found.best) continue;
      out_.budgets.push_back({memory, name(found.best->plan)});
      add("search", found.best->plan);
      for (const search::FoundPlan& other : found.runners_up) add("search", other.plan);
    }
  }

  // All there are, or as many as wanted, drawn evenly.
  void add_uniform() {
    std::vector<plan::Plan> all;
    for (const std::int64_t pp : divisors(world_size_)) {
      if (pp > inputs_.model.num_layers()) break;
      add_uniform_of(static_cast<int>(pp), all);
    }
    std::mt19937_64 random(counts_.seed);
    std::shuffle(all.begin(), all.end(), random);
    int taken = 0;
    for (const plan::Plan& plan : all) {
      if (taken == counts_.uniform) break;
      if (add("uniform", plan)) ++taken;
    }
  }

  void add_uniform_of(int pp_degree, std::vector<plan::Plan>& all) const {
    const int ranks = world_size_ / pp_degree;
    for (const plan::LayerStrategy& strategy : strategies(ranks)) {
      for (int m = 1; m <= std::min<std::int64_t>(kMostMicrobatches, inputs_.job.global_batch);
           m *= 2) {
        for (const plan::ScheduleTraits& schedule : plan::schedules()) {
          if (pp_degree == 1 && schedule.kind != plan::ScheduleKind::k1F1B) continue;
          const int stages = pp_degree * schedule.usual_stages_per_rank;
          if (stages > inputs_.model.num_layers()) continue;
          const plan::Plan plan = uniform(strategy, pp_degree, m, schedule.kind);
          if (fits(plan)) all.push_back(plan);
        }
      }
    }
  }

  static std::vector<plan::LayerStrategy> strategies(int ranks) {
    std::vector<plan::LayerStrategy> out;
    for (const std::int64_t seq : divisors(ranks)) {
      for (const std::int64_t tp : divisors(seq)) {
        for (int zero = 0; zero <= 3; ++zero) {
          for (const plan::Recompute recompute : enum_values<plan::Recompute>()) {
            plan::LayerStrategy strategy;
            strategy.tp_degree = static_cast<int>(tp);
            strategy.ulysses_degree = static_cast<int>(seq / tp);
            strategy.zero_stage = zero;
            strategy.recompute = recompute;
            out.push_back(strategy);
          }
        }
      }
    }
    return out;
  }

  void add_random() {
    galvatron::testing::Random random(counts_.seed);
    galvatron::testing::TrainingCase job;
    job.model = inputs_.model;
    job.seq_length = inputs_.job.seq_length;
    job.global_batch = inputs_.job.global_batch;
    for (int taken = 0; taken < counts_.random;) {
      plan::Plan plan = galvatron::testing::random_plan(random, job, world_size_);
      plan.precision = inputs_.job.precision;
      if (plan.num_microbatches > kMostMicrobatches) continue;
      if (add("random", plan)) ++taken;
    }
  }

  const cost::CostInputs& inputs_;
  const ContenderCounts& counts_;
  int world_size_;
  std::set<std::string> names_;
  Contenders out_;
};

}  // namespace

Contenders choose_contenders(const cost::CostInputs& inputs, const ContenderCounts& counts) {
  return Chooser(inputs, counts).choose();
}

std::string name(const plan::Plan& plan) {
  std::string shape = fmt::format("m{}", plan.num_microbatches);
  if (plan.pipeline.degree > 1) {
    shape =
        fmt::format("{} pp{} {} ({})", plan::to_text(plan.pipeline.schedule), plan.pipeline.degree,
                    shape, fmt::join(plan.pipeline.layers_per_stage, "+"));
  }
  return shape + ": " + plan::summarize(plan);
}

}  // namespace galvatron::bench
