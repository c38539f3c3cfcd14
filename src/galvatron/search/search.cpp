#include "galvatron/search/search.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>

#include "galvatron/base/error.h"
#include "galvatron/cost/cost_tables.h"
#include "galvatron/plan/check_plan.h"
#include "galvatron/search/placement.h"
#include "galvatron/search/shape_solver.h"
#include "galvatron/search/tidy.h"
#include "galvatron/search/tolerance.h"

namespace galvatron::search {
namespace {

constexpr std::size_t kBeam = 50;
// A beam looks for plans up to so much above the bound.
constexpr double kNearBound = 1.15;
// Comparisons of labels (a few nanoseconds each) that one attempt at a candidate may take, exactly
// and with kTolerance, and all together.
constexpr std::int64_t kExactWork = 100'000'000;
constexpr std::int64_t kMostWork = 300'000'000;
constexpr std::int64_t kTotalWork = 1'000'000'000;
constexpr std::int64_t kRunnerUpWork = 100'000'000;  // all of them
constexpr double kTolerance = 1e-4;                  // of the step time
// How far above its bound a candidate is first searched, and how fast that grows.
constexpr double kFirstStep = 5e-4;
constexpr double kStepGrowth = 2;
// How far above the first bound the stages of every length are looked at.
constexpr double kTightenStep = 1.5;
// Beyond this step it is worth asking whether any plan of the candidate fits.
constexpr double kDoubtfulStep = 0.1;

// One shape and batch. Made when its turn comes: the bound says that it may hold the answer.
struct Shape {
  cost::PipelineShape pipeline;
  std::int64_t global_batch = 1;
  cost::CostTables tables;
  std::unique_ptr<ShapeQuestion> question;
  bool fits = false;  // as far as the bounds of its stages tell
};

// What the queue holds, from vague to exact. Each turn raises the bound or ends the candidate.
struct Candidate {
  enum class Stage {
    kShape,   // bounded by compute alone; no tables yet
    kAll,     // all groups of first and last layer together, bounded by all layers at once
    kSplit,   // the same, bounded by stages of every length
    kGroup,   // one group, bounded by all layers at once
    kStages,  // one group, bounded by stages of every length
  };
  Stage stage = Stage::kShape;
  double bound = 0;  // ms per sample
  std::shared_ptr<Shape> shape;
  std::shared_ptr<ShapeSolver> solver;
  double step = kFirstStep;
  bool fits = false;       // known to
  bool tolerant = false;   // exactly is too much work
  std::int64_t order = 0;  // of making: decides between equal bounds
};

// The best plan of a shape so far.
struct Solution {
  std::shared_ptr<Shape> shape;
  ShapeAnswer answer;
  double ms_per_sample() const { return answer.step_ms / static_cast<double>(shape->global_batch); }
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
    check_seq_length();
  }

  SearchResult run() {
    Certificate& certificate = result_.certificate;
    certificate.timed("shapes", [&] { make_shapes(); });
    certificate.timed("search", [&] { search_best_first(); });
    if (solutions_.empty()) {
      certificate.timed("closest miss", [&] { find_closest_miss(); });
      return std::move(result_);
    }
    certificate.timed("prediction", [&] { finish(); });
    certificate.timed("runners-up", [&] { find_runners_up(); });
    return std::move(result_);
  }

 private:
  void check_seq_length() const {
    const std::int64_t length = inputs_.job.seq_length;
    const std::int64_t fixed = inputs_.model.fixed_seq_length;
    if (fixed > 0 && length != fixed) {
      throw ConfigError("[search] --seq-length ", length, ": an image of model '",
                        inputs_.model.name, "' has ", fixed, " tokens");
    }
    if (fixed == 0 && (length < 1 || length > inputs_.model.max_positions)) {
      throw ConfigError("[search] --seq-length ", length, " is outside 1 .. ",
                        inputs_.model.max_positions, ", the positions of model '",
                        inputs_.model.name, "'");
    }
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

  void make_shapes() {
    std::vector<int> types;
    for (const spec::LayerSpec& layer : inputs_.model.layers) types.push_back(layer.type);
    ranges_ = std::make_unique<LayerRanges>(types);
    const auto kind = schedule();
    if (!kind) throw ConfigError("[search] the constraints allow no schedule");
    for (const std::int64_t batch : options_.global_batches) {
      if (batch < 1) throw ConfigError("[search] --global-batch ", batch, " must be at least 1");
      const auto counts = microbatch_counts(options_.space, batch);
      for (const int p :
           pipeline_degrees(options_.space, options_.world_size, inputs_.model.num_layers())) {
        if (candidates_of(options_.world_size / p).empty()) continue;
        for (const int m : counts) {
          Candidate candidate;
          candidate.shape = std::make_shared<Shape>();
          candidate.shape->pipeline = {p, options_.world_size / p, m, *kind};
          candidate.shape->global_batch = batch;
          candidate.bound = compute_bound(*candidate.shape) / samples(candidate);
          shapes_.push_back(candidate.shape);
          push(std::move(candidate));
        }
      }
    }
    if (queue_.empty()) {
      throw ConfigError("[search] the constraints leave no plan for ", options_.world_size,
                        " ranks: no pipeline degree, microbatch count and degrees that every layer "
                        "allows go together");
    }
    result_.certificate.candidates = static_cast<std::int64_t>(queue_.size());
  }

  // Empty when some layer type has none.
  const std::vector<std::vector<plan::LayerStrategy>>& candidates_of(int ranks_per_stage) {
    auto [it, added] = candidates_.try_emplace(ranks_per_stage);
    if (!added) return it->second;
    const bool crosses_nodes = ranks_per_stage > hardware_.ranks_per_node;
    it->second = layer_candidates(options_.space, inputs_.model, ranks_per_stage,
                                  inputs_.job.seq_length, crosses_nodes);
    if (std::any_of(it->second.begin(), it->second.end(),
                    [](const auto& row) { return row.empty(); })) {
      it->second.clear();
    }
    return it->second;
  }

  // Every layer at the fastest of its degrees, nothing but compute, stages of equal time.
  double compute_bound(const Shape& shape) {
    const cost::CostInputs inputs = inputs_of(shape.global_batch);
    const cost::PipelineShape& pipeline = shape.pipeline;
    const cost::MicrobatchSizes sizes =
        cost::microbatch_sizes(shape.global_batch, pipeline.num_microbatches);
    const double slowdown = hardware_.compute_slowdown(cost::computing_ranks(pipeline, hardware_));
    const auto& candidates = candidates_of(pipeline.ranks_per_stage);
    std::vector<double> fastest(candidates.size(), kInfinity);
    for (std::size_t type = 0; type < candidates.size(); ++type) {
      const int layer = inputs.model.first_layer_of_type(static_cast<int>(type));
      const plan::LayerStrategy* last = nullptr;
      for (const plan::LayerStrategy& one : candidates[type]) {
        const bool same_degrees =
            last && last->tp_degree == one.tp_degree && last->ulysses_degree == one.ulysses_degree;
        last = &one;
        if (same_degrees) continue;
        const auto time_of = [&](std::int64_t samples) {
          const cost::LocalWork work = cost::local_work(inputs, pipeline, layer, one, samples);
          const auto cost = inputs_.profile.lookup(static_cast<int>(type), one.tp_degree,
                                                   work.profile_samples);
          return (cost.forward + cost.backward).value;
        };
        fastest[type] = std::min(fastest[type],
                                 slowdown * sizes.mean(time_of(sizes.large), time_of(sizes.small)));
      }
    }
    double sum = 0;
    for (const spec::LayerSpec& layer : inputs_.model.layers) {
      sum += fastest[static_cast<std::size_t>(layer.type)];
    }
    return sum * (1 + (pipeline.num_microbatches - 1.0) / pipeline.pp_degree) * (1 - kRounding);
  }

  static double samples(const Candidate& candidate) {
    return static_cast<double>(candidate.shape->global_batch);
  }

  static bool later(const Candidate& a, const Candidate& b) {
    return a.bound != b.bound ? a.bound > b.bound : a.order > b.order;
  }
  void push(Candidate candidate) {
    candidate.order = num_pushed_++;
    queue_.push_back(std::move(candidate));
    std::push_heap(queue_.begin(), queue_.end(), later);
  }

  // Always the candidate of the lowest bound. When the lowest is not below the best plan found,
  // that plan is optimal.
  void search_best_first() {
    while (!queue_.empty() && queue_.front().bound < best_value_ * (1 - kRounding)) {
      std::pop_heap(queue_.begin(), queue_.end(), later);
      Candidate candidate = std::move(queue_.back());
      queue_.pop_back();
      advance(std::move(candidate));
    }
    for (const Candidate& candidate : queue_) {
      lower_bound_ = std::min(lower_bound_, candidate.bound);
    }
    Certificate& certificate = result_.certificate;
    for (const auto& shape : shapes_) {
      ++(!shape->question ? certificate.pruned
         : shape->fits    ? certificate.solved
                          : certificate.infeasible);
    }
  }

  void advance(Candidate candidate) {
    switch (candidate.stage) {
      case Candidate::Stage::kShape:
        open(*candidate.shape);
        candidate.stage = Candidate::Stage::kAll;
        return bound_group(std::move(candidate), -1);
      case Candidate::Stage::kAll:
      case Candidate::Stage::kGroup: {
        const bool whole = candidate.stage == Candidate::Stage::kAll &&
                           candidate.shape->question->groups().size() > 1;
        candidate.solver->tighten(kTightenStep * candidate.solver->lower_bound());
        candidate.stage = whole ? Candidate::Stage::kSplit : Candidate::Stage::kStages;
        candidate.bound =
            std::max(candidate.bound, candidate.solver->lower_bound() / samples(candidate));
        if (candidate.bound == kInfinity) return;
        candidate.shape->fits = true;
        return push(std::move(candidate));
      }
      case Candidate::Stage::kSplit:
        candidate.stage = Candidate::Stage::kGroup;
        for (const int group : candidate.shape->question->groups()) bound_group(candidate, group);
        return;
      case Candidate::Stage::kStages:
        return attempt(std::move(candidate), best_value_, kExactWork);
    }
  }

  // Makes tables, and says which candidates of first and last layer may go together.
  void open(Shape& shape) {
    shape.tables = cost::build_cost_tables(inputs_of(shape.global_batch), shape.pipeline,
                                           candidates_of(shape.pipeline.ranks_per_stage));
    drop_useless_placements(shape.tables);
    shape.question = std::make_unique<ShapeQuestion>(
        shape.tables, *ranges_, tied_groups(shape.tables),
        ShapeOptions{options_.memory.value, options_.space.uneven_stages});
  }

  void bound_group(Candidate candidate, int group) {
    candidate.solver = std::make_shared<ShapeSolver>(*candidate.shape->question, group);
    candidate.bound =
        std::max(candidate.bound, candidate.solver->lower_bound() / samples(candidate));
    if (candidate.bound < kInfinity) push(std::move(candidate));
  }

  void consider(const Candidate& candidate, ShapeAnswer answer) {
    if (!answer.found()) return;
    best_value_ = std::min(best_value_, answer.step_ms / samples(candidate));
    solutions_.push_back({candidate.shape, std::move(answer)});
  }

  // Looks only a little above the bound: what is found there is the best of the candidate; if
  // nothing is, its bound has risen.
  void attempt(Candidate candidate, double target, std::int64_t exact_work) {
    if (candidate.step > kDoubtfulStep && !candidate.fits) {
      candidate.fits =
          candidate.solver->least_bytes(options_.memory.value + 1) <= options_.memory.value;
      if (!candidate.fits) return;
    }
    if (work_ > kTotalWork) return finish_by_beam(candidate);
    const double cutoff =
        std::min(target, candidate.bound * (1 + candidate.step)) * samples(candidate);
    StageLimits limits{.max_work = exact_work};
    if (candidate.tolerant) {
      // Half of it for times, half for what is paid once.
      const double slack = kTolerance * candidate.bound * samples(candidate) / 2;
      const cost::PipelineShape& shape = candidate.shape->pipeline;
      limits.max_work = kMostWork;
      limits.time_tolerance = slack / (shape.pp_degree + shape.num_microbatches - 1);
      if (shape.pp_degree == 1) limits.time_tolerance = 2 * slack;
      limits.once_tolerance = slack;
    }
    const std::int64_t work_before = candidate.solver->work();
    ShapeAnswer answer = candidate.solver->solve(cutoff, limits);
    work_ += candidate.solver->work() - work_before;
    candidate.bound =
        std::max(candidate.bound, candidate.solver->lower_bound() / samples(candidate));
    const bool complete = answer.complete, found = answer.found();
    consider(candidate, std::move(answer));
    if (complete && found) {
      lower_bound_ = std::min(lower_bound_, candidate.bound);
      result_.certificate.nodes += candidate.solver->num_labels();
      return;
    }
    if (!complete && candidate.tolerant) return finish_by_beam(candidate);
    candidate.tolerant = candidate.tolerant || !complete;
    if (complete) candidate.step *= kStepGrowth;
    push(std::move(candidate));
  }

  // A good plan instead of the best.
  void finish_by_beam(const Candidate& candidate) {
    lower_bound_ = std::min(lower_bound_, candidate.bound);
    const double near = std::min(best_value_, candidate.bound * kNearBound);
    ShapeAnswer answer = candidate.solver->solve(near * samples(candidate), {.beam = kBeam});
    if (!answer.found() && best_value_ == kInfinity) {
      answer = candidate.solver->solve(kInfinity, {.beam = kBeam});
    }
    consider(candidate, std::move(answer));
    result_.certificate.nodes += candidate.solver->num_labels();
  }

  plan::Plan make_plan(const Solution& solution) const {
    const Shape& shape = *solution.shape;
    plan::Plan plan;
    plan.model = inputs_.model.name;
    plan.world_size = options_.world_size;
    plan.global_batch = shape.global_batch;
    plan.num_microbatches = shape.pipeline.num_microbatches;
    plan.precision = inputs_.job.precision;
    plan.pipeline = {shape.pipeline.pp_degree, shape.pipeline.schedule,
                     solution.answer.layers_per_stage};
    const std::vector<int> choice = tidy_choice(shape.tables, solution.answer.layers_per_stage,
                                                solution.answer.choice, options_.memory.value);
    for (std::size_t i = 0; i < choice.size(); ++i) {
      const auto type = static_cast<std::size_t>(shape.tables.type_of_layer[i]);
      const auto id = static_cast<std::size_t>(choice[i]);
      plan.layers.push_back(shape.tables.candidates[type][id]);
    }
    const auto problem =
        plan::check_plan(plan, inputs_.model, {options_.world_size, inputs_.job.seq_length});
    GALV_CHECK(!problem, "found an invalid plan: ", problem.value_or(""));
    return plan;
  }

  FoundPlan describe(const Solution& solution) const {
    FoundPlan found;
    found.plan = make_plan(solution);
    for (const spec::LayerSpec& layer : inputs_.model.layers) {
      found.layer_names.push_back(layer.name);
    }
    found.cost = cost::estimate(inputs_of(solution.shape->global_batch), found.plan);
    GALV_CHECK(std::abs(found.cost.step_time.value - solution.answer.step_ms) <=
                   1e-9 * solution.answer.step_ms,
               "the search saw ", solution.answer.step_ms, " ms, the cost model ",
               found.cost.step_time.value);
    return found;
  }

  static bool faster(const Solution& a, const Solution& b) {
    return a.ms_per_sample() < b.ms_per_sample();
  }

  void finish() {
    std::stable_sort(solutions_.begin(), solutions_.end(), faster);
    result_.best = describe(solutions_.front());
    Certificate& certificate = result_.certificate;
    certificate.value = best_value_;
    const bool exact = lower_bound_ >= best_value_ * (1 - 10 * kRounding);
    certificate.lower_bound = exact ? best_value_ : lower_bound_;
  }

  bool is_solved(const Shape* shape) const {
    return std::any_of(solutions_.begin(), solutions_.end(),
                       [&](const Solution& one) { return one.shape.get() == shape; });
  }

  // Goes on, best first, until enough other shapes have a plan: with little work for each.
  void find_runners_up() {
    const auto wanted = static_cast<std::size_t>(options_.num_runners_up);
    std::vector<const Shape*> shown;
    for (const Solution& one : solutions_) {
      if (shown.empty() || std::find(shown.begin(), shown.end(), one.shape.get()) == shown.end()) {
        shown.push_back(one.shape.get());
      }
    }
    const std::int64_t most = work_ + kRunnerUpWork;
    while (shown.size() <= wanted && !queue_.empty() && work_ < most) {
      std::pop_heap(queue_.begin(), queue_.end(), later);
      Candidate candidate = std::move(queue_.back());
      queue_.pop_back();
      if (std::find(shown.begin(), shown.end(), candidate.shape.get()) != shown.end()) continue;
      const std::size_t before = solutions_.size();
      if (candidate.stage != Candidate::Stage::kStages) {
        advance(std::move(candidate));
      } else if (!candidate.tolerant) {
        attempt(std::move(candidate), kInfinity, kRunnerUpWork / 10);
      }
      if (solutions_.size() > before) shown.push_back(solutions_.back().shape.get());
    }
    std::stable_sort(solutions_.begin(), solutions_.end(), faster);
    shown = {solutions_.front().shape.get()};
    for (const Solution& one : solutions_) {
      if (result_.runners_up.size() >= wanted) break;
      if (std::find(shown.begin(), shown.end(), one.shape.get()) != shown.end()) continue;
      shown.push_back(one.shape.get());
      result_.runners_up.push_back(describe(one));
    }
  }

  // The most promising shapes first, so that the others are out by their bound.
  void find_closest_miss() {
    std::vector<std::pair<std::int64_t, std::shared_ptr<Shape>>> shapes;
    for (const auto& shape : shapes_) {
      if (!shape->question) open(*shape);
      shapes.emplace_back(ShapeSolver(*shape->question, -1).least_bytes_bound(), shape);
    }
    std::stable_sort(shapes.begin(), shapes.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (const auto& [bound, shape] : shapes) {
      if (bound >= least) break;
      for (const int group : shape->question->groups()) {
        const std::int64_t bytes = ShapeSolver(*shape->question, group).least_bytes(least);
        if (bytes >= least) continue;
        least = bytes;
        result_.closest_miss = {Bytes{bytes}, shape->pipeline.pp_degree,
                                shape->pipeline.num_microbatches, shape->global_batch};
      }
    }
  }

  const cost::CostInputs& inputs_;
  profiles::HardwareProfile hardware_;  // with the reserve that the user gave
  SearchOptions options_;
  std::unique_ptr<LayerRanges> ranges_;
  std::map<int, std::vector<std::vector<plan::LayerStrategy>>> candidates_;  // by ranks of a stage
  std::vector<std::shared_ptr<Shape>> shapes_;
  std::vector<Candidate> queue_;  // a heap, lowest bound first
  std::int64_t num_pushed_ = 0;
  std::vector<Solution> solutions_;
  double best_value_ = kInfinity;   // ms per sample
  double lower_bound_ = kInfinity;  // of what has left the queue
  std::int64_t work_ = 0;
  SearchResult result_;
};

}  // namespace

SearchResult search_best_plan(const cost::CostInputs& inputs, const SearchOptions& options) {
  return Search(inputs, options).run();
}

}  // namespace galvatron::search
