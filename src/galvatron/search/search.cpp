#include "galvatron/search/search.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"
#include "galvatron/cost/cost_tables.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/search/shape_solver.h"

namespace galvatron::search {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRounding = 1e-12;
constexpr std::size_t kBeam = 200;
// Comparisons spent on one stage (about a nanosecond each) before the search tolerates kTolerance,
// and before it gives up.
constexpr std::int64_t kExactWork = 150'000'000;
constexpr std::int64_t kMostWork = 400'000'000;
constexpr double kTolerance = 1e-4;  // of the step time
// How far above its bound a candidate is first searched, and how fast that grows.
constexpr double kFirstStep = 5e-4;
constexpr double kStepGrowth = 2;
// Beyond this step it is worth asking whether any plan of the candidate fits.
constexpr double kDoubtfulStep = 0.1;

// Tables of one shape and batch.
struct Shape {
  cost::PipelineShape pipeline;
  std::int64_t global_batch = 1;
  cost::CostTables tables;
};

// A shape, with the candidates of first and last layer narrowed where they must agree.
struct Candidate {
  const Shape* shape = nullptr;
  std::unique_ptr<ShapeSolver> solver;
  double bound = 0;  // ms per sample
  double step = kFirstStep;
  ShapeAnswer answer;
  bool fits = false;      // known to
  bool tolerant = false;  // exactly is too much work
};

class Search {
 public:
  Search(const cost::CostInputs& inputs, const SearchOptions& options)
      : inputs_(inputs), hardware_(inputs.hardware), options_(options) {
    hardware_.memory_reserve = options.memory_reserve.value_or(hardware_.memory_reserve);
    if (options_.world_size == 0) options_.world_size = inputs.hardware.world_size;
    if (options_.global_batches.empty()) options_.global_batches = {inputs.job.global_batch};
    if (options_.world_size < 1) {
      throw ConfigError("[search] --world-size ", options_.world_size, " must be at least 1");
    }
    if (options_.memory.value < 1) throw ConfigError("[search] --memory must be positive");
  }

  SearchResult run() {
    timed("costs", [&] { build_shapes(); });
    timed("bounds", [&] { build_candidates(); });
    if (candidates_.empty()) {
      timed("closest miss", [&] { find_closest_miss(); });
      return std::move(result_);
    }
    timed("solve", [&] { solve_best_first(); });
    if (best_value_ == kInfinity) {
      timed("closest miss", [&] { find_closest_miss(); });
      return std::move(result_);
    }
    timed("prediction", [&] { finish(); });
    return std::move(result_);
  }

 private:
  template <typename Work>
  void timed(const std::string& name, Work work) {
    const double start = now_seconds();
    work();
    result_.certificate.phases.push_back({name, {1000 * (now_seconds() - start)}});
  }

  cost::CostInputs inputs_of(std::int64_t global_batch) const {
    spec::JobSpec job = inputs_.job;
    job.global_batch = global_batch;
    return {inputs_.model, job, hardware_, inputs_.profile};
  }

  // 1F1B is never slower than GPipe in our model and keeps fewer microbatches.
  std::optional<plan::ScheduleKind> schedule() const {
    for (const plan::ScheduleKind kind : {plan::ScheduleKind::k1F1B, plan::ScheduleKind::kGPipe}) {
      if (options_.space.schedules.has(static_cast<int>(kind))) return kind;
    }
    return std::nullopt;
  }

  void build_shapes() {
    std::vector<int> types;
    for (const spec::LayerSpec& layer : inputs_.model.layers) types.push_back(layer.type);
    ranges_ = std::make_unique<LayerRanges>(types);
    const auto kind = schedule();
    if (!kind) throw ConfigError("[search] the constraints allow no schedule");
    for (const std::int64_t batch : options_.global_batches) {
      if (batch < 1) throw ConfigError("[search] --global-batch ", batch, " must be at least 1");
      const cost::CostInputs inputs = inputs_of(batch);
      const auto counts = microbatch_counts(options_.space, batch);
      for (const int p :
           pipeline_degrees(options_.space, options_.world_size, inputs_.model.num_layers())) {
        const auto candidates = layer_candidates(options_.space, inputs_.model,
                                                 options_.world_size / p, inputs_.job.seq_length);
        if (std::any_of(candidates.begin(), candidates.end(),
                        [](const auto& row) { return row.empty(); })) {
          continue;
        }
        for (const int m : counts) {
          const cost::PipelineShape pipeline{p, options_.world_size / p, m, *kind};
          auto shape = std::make_unique<Shape>();
          shape->pipeline = pipeline;
          shape->global_batch = batch;
          shape->tables = cost::build_cost_tables(inputs, pipeline, candidates);
          shapes_.push_back(std::move(shape));
        }
      }
    }
    if (shapes_.empty()) {
      throw ConfigError("[search] the constraints leave no plan for ", options_.world_size,
                        " ranks: no pipeline degree, microbatch count and degrees that every layer "
                        "allows go together");
    }
  }

  // Candidates of every layer type, split by (tp_degree, zero_stage) of first and last layer when
  // they share a weight.
  static std::vector<std::vector<std::vector<int>>> candidate_sets(const cost::CostTables& tables) {
    std::vector<std::vector<int>> all;
    for (const auto& row : tables.candidates) {
      auto& ids = all.emplace_back();
      for (int i = 0; i < static_cast<int>(row.size()); ++i) ids.push_back(i);
    }
    const auto first = static_cast<std::size_t>(tables.type_of_layer.front());
    const auto last = static_cast<std::size_t>(tables.type_of_layer.back());
    if (!tables.tied_ends || first == last) return {all};
    std::vector<std::vector<std::vector<int>>> sets;
    std::vector<std::pair<int, int>> kinds;
    const auto kind_of = [&](std::size_t type, int id) {
      const plan::LayerStrategy& one = tables.candidates[type][static_cast<std::size_t>(id)];
      return std::pair(one.tp_degree, one.zero_stage);
    };
    for (const int id : all[first]) kinds.push_back(kind_of(first, id));
    std::sort(kinds.begin(), kinds.end());
    kinds.erase(std::unique(kinds.begin(), kinds.end()), kinds.end());
    for (const auto& kind : kinds) {
      auto set = all;
      for (const std::size_t type : {first, last}) {
        std::erase_if(set[type], [&](int id) { return kind_of(type, id) != kind; });
      }
      if (!set[last].empty()) sets.push_back(std::move(set));
    }
    return sets;
  }

  void build_candidates() {
    for (const auto& shape : shapes_) {
      for (auto& set : candidate_sets(shape->tables)) {
        ++result_.certificate.candidates;
        Candidate candidate;
        candidate.shape = shape.get();
        candidate.solver = std::make_unique<ShapeSolver>(
            shape->tables, *ranges_, std::move(set),
            ShapeOptions{options_.memory.value, options_.space.uneven_stages});
        candidate.bound =
            candidate.solver->lower_bound() / static_cast<double>(shape->global_batch);
        if (candidate.bound == kInfinity) {
          ++result_.certificate.infeasible;
          continue;
        }
        candidates_.push_back(std::move(candidate));
      }
    }
    std::stable_sort(candidates_.begin(), candidates_.end(),
                     [](const auto& a, const auto& b) { return a.bound < b.bound; });
  }

  double samples(const Candidate& candidate) const {
    return static_cast<double>(candidate.shape->global_batch);
  }

  void consider(Candidate& candidate, ShapeAnswer answer) {
    if (!answer.found()) return;
    candidate.answer = std::move(answer);
    const double value = candidate.answer.step_ms / samples(candidate);
    if (value >= best_value_) return;
    best_value_ = value;
    best_ = &candidate;
  }

  // Always the candidate of the lowest bound, and only a little above it: what is found there is
  // the best of that candidate; if nothing is, its bound has risen.
  void solve_best_first() {
    const auto later = [](const Candidate* a, const Candidate* b) {
      return a->bound != b->bound ? a->bound > b->bound : a > b;
    };
    std::vector<Candidate*> queue;
    for (Candidate& candidate : candidates_) queue.push_back(&candidate);
    std::make_heap(queue.begin(), queue.end(), later);
    while (!queue.empty()) {
      std::pop_heap(queue.begin(), queue.end(), later);
      Candidate& candidate = *queue.back();
      queue.pop_back();
      if (candidate.bound >= best_value_ * (1 - kRounding)) break;
      if (attempt(candidate)) continue;
      queue.push_back(&candidate);
      std::push_heap(queue.begin(), queue.end(), later);
    }
  }

  // True when the candidate is finished.
  bool attempt(Candidate& candidate) {
    const double cutoff =
        std::min(best_value_, candidate.bound * (1 + candidate.step)) * samples(candidate);
    StageLimits limits{.max_work = kExactWork};
    if (candidate.tolerant) {
      const double m = candidate.shape->pipeline.num_microbatches;
      limits.max_work = kMostWork;
      limits.tolerance =
          kTolerance * candidate.bound * samples(candidate) / (2 * m * inputs_.model.num_layers());
    }
    ShapeAnswer answer = candidate.solver->solve(cutoff, limits);
    candidate.bound = candidate.solver->lower_bound() / samples(candidate);
    const bool complete = answer.complete, found = answer.found();
    consider(candidate, std::move(answer));
    if (!complete && !candidate.tolerant) {
      candidate.tolerant = true;
      return false;
    }
    candidate.step *= kStepGrowth;
    if (complete && !found) return false;
    ++result_.certificate.solved;
    if (!complete) {
      const double best = best_value_ * samples(candidate);
      consider(candidate, candidate.solver->solve(best, {.beam = kBeam}));
    }
    return true;
  }

  plan::Plan make_plan(const Candidate& candidate) const {
    const Shape& shape = *candidate.shape;
    plan::Plan plan;
    plan.model = inputs_.model.name;
    plan.world_size = options_.world_size;
    plan.global_batch = shape.global_batch;
    plan.num_microbatches = shape.pipeline.num_microbatches;
    plan.precision = inputs_.job.precision;
    plan.pipeline = {shape.pipeline.pp_degree, shape.pipeline.schedule,
                     candidate.answer.layers_per_stage};
    for (std::size_t i = 0; i < candidate.answer.choice.size(); ++i) {
      const auto type = static_cast<std::size_t>(shape.tables.type_of_layer[i]);
      const auto id = static_cast<std::size_t>(candidate.answer.choice[i]);
      plan.layers.push_back(shape.tables.candidates[type][id]);
    }
    const auto problem =
        plan::check_plan(plan, inputs_.model, {options_.world_size, inputs_.job.seq_length});
    GALV_CHECK(!problem, "found an invalid plan: ", problem.value_or(""));
    return plan;
  }

  FoundPlan describe(const Candidate& candidate) const {
    FoundPlan found;
    found.plan = make_plan(candidate);
    found.cost = cost::estimate(inputs_of(candidate.shape->global_batch), found.plan);
    GALV_CHECK(std::abs(found.cost.step_time.value - candidate.answer.step_ms) <=
                   1e-9 * candidate.answer.step_ms,
               "the search saw ", candidate.answer.step_ms, " ms, the cost model ",
               found.cost.step_time.value);
    return found;
  }

  void finish() {
    result_.best = describe(*best_);
    Certificate& certificate = result_.certificate;
    certificate.value = best_value_;
    certificate.lower_bound = best_value_;
    for (const Candidate& candidate : candidates_) {
      certificate.nodes += candidate.solver->num_labels();
      certificate.lower_bound = std::min(certificate.lower_bound, candidate.bound);
    }
    certificate.pruned = certificate.candidates - certificate.infeasible - certificate.solved;
    std::vector<const Candidate*> others;
    for (const Candidate& candidate : candidates_) {
      if (&candidate != best_ && candidate.answer.found() && !(candidate.shape == best_->shape)) {
        others.push_back(&candidate);
      }
    }
    std::stable_sort(others.begin(), others.end(), [](const Candidate* a, const Candidate* b) {
      return a->answer.step_ms / static_cast<double>(a->shape->global_batch) <
             b->answer.step_ms / static_cast<double>(b->shape->global_batch);
    });
    for (const Candidate* other : others) {
      if (static_cast<int>(result_.runners_up.size()) >= options_.num_runners_up) break;
      result_.runners_up.push_back(describe(*other));
    }
  }

  // The most promising first, so that the others are out by their bound.
  void find_closest_miss() {
    struct Miss {
      std::int64_t bound;
      const Shape* shape;
      std::unique_ptr<ShapeSolver> solver;
    };
    std::vector<Miss> misses;
    for (const auto& shape : shapes_) {
      for (auto& set : candidate_sets(shape->tables)) {
        auto solver = std::make_unique<ShapeSolver>(
            shape->tables, *ranges_, std::move(set),
            ShapeOptions{options_.memory.value, options_.space.uneven_stages});
        const std::int64_t bound = solver->least_bytes_bound();
        misses.push_back({bound, shape.get(), std::move(solver)});
      }
    }
    std::stable_sort(misses.begin(), misses.end(),
                     [](const Miss& a, const Miss& b) { return a.bound < b.bound; });
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (const Miss& miss : misses) {
      const std::int64_t bytes = miss.bound < least ? miss.solver->least_bytes(least) : least;
      if (bytes >= least) continue;
      least = bytes;
      const cost::PipelineShape& shape = miss.shape->pipeline;
      result_.closest_miss = {Bytes{bytes}, shape.pp_degree, shape.num_microbatches,
                              miss.shape->global_batch};
    }
  }

  const cost::CostInputs& inputs_;
  profiles::HardwareProfile hardware_;  // with the reserve that the user gave
  SearchOptions options_;
  std::unique_ptr<LayerRanges> ranges_;
  std::vector<std::unique_ptr<Shape>> shapes_;
  std::vector<Candidate> candidates_;  // that may fit, ascending bound
  double best_value_ = kInfinity;      // ms per sample
  const Candidate* best_ = nullptr;
  SearchResult result_;
};

}  // namespace

SearchResult search_best_plan(const cost::CostInputs& inputs, const SearchOptions& options) {
  return Search(inputs, options).run();
}

}  // namespace galvatron::search
