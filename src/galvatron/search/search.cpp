#include "galvatron/search/search.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>

#include "galvatron/base/error.h"
#include "galvatron/cost/cost_tables.h"
#include "galvatron/search/compute_bound.h"
#include "galvatron/search/found_plan.h"
#include "galvatron/search/interleaved.h"
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
// Interleaved pipelines so much slower than the best plan are runners-up, where any are wanted.
constexpr double kInterleavedSlack = 1.02;
// Beyond this step it is worth asking whether any plan of the candidate fits.
constexpr double kDoubtfulStep = 0.1;

// One shape and batch. Made when its turn comes: the bound says that it may hold the answer.
struct Shape {
  cost::PipelineShape pipeline;
  std::int64_t global_batch = 1;
  std::vector<double> fastest_compute;  // compute_bound.h
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
    if (interleaves()) certificate.timed("interleaved", [&] { search_interleaved(); });
    if (solutions_.empty() && interleaved_.empty()) {
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

  bool interleaves() const {
    return options_.space.schedules.has(
               plan::schedule_with(plan::ClosedForm::kSlowestOfEachChunk)) &&
           options_.space.allows(&plan::LayerStrategy::tp_consecutive, true);
  }

  // Of one stage per rank. 1F1B is never slower than GPipe in our model and keeps fewer
  // microbatches.
  std::optional<plan::ScheduleKind> schedule() const {
    for (const plan::ClosedForm form :
         {plan::ClosedForm::kSlowestStage, plan::ClosedForm::kSlowestPhases}) {
      const plan::ScheduleKind kind = plan::schedule_with(form);
      if (options_.space.schedules.has(kind)) return kind;
    }
    return std::nullopt;
  }

  void make_shapes() {
    std::vector<int> types;
    for (const spec::LayerSpec& layer : inputs_.model.layers) types.push_back(layer.type);
    ranges_ = std::make_unique<LayerRanges>(types);
    const auto kind = schedule();
    if (!kind && !interleaves()) {
      throw ConfigError("[search] the constraints allow no schedule");
    }
    for (const std::int64_t batch : options_.global_batches) {
      if (batch < 1) throw ConfigError("[search] --global-batch ", batch, " must be at least 1");
      const auto counts = microbatch_counts(options_.space, batch);
      for (const int p :
           pipeline_degrees(options_.space, options_.world_size, inputs_.model.num_layers())) {
        if (candidates_of(options_.world_size / p).empty()) continue;
        for (const int m : counts) {
          Candidate candidate;
          candidate.shape = std::make_shared<Shape>();
          candidate.shape->pipeline = {p, options_.world_size / p, m,
                                       kind.value_or(plan::ScheduleKind::k1F1B)};
          candidate.shape->global_batch = batch;
          candidate.bound = compute_bound(*candidate.shape) / samples(candidate);
          shapes_.push_back(candidate.shape);
          if (kind) push(std::move(candidate));
        }
      }
    }
    if (queue_.empty()) make_interleaved();
    if (queue_.empty() && interleaved_search_->num_shapes() == 0) {
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
  double compute_bound(Shape& shape) {
    const cost::CostInputs inputs = inputs_of(shape.global_batch);
    const cost::PipelineShape& pipeline = shape.pipeline;
    shape.fastest_compute =
        fastest_compute(inputs, pipeline, candidates_of(pipeline.ranks_per_stage));
    double sum = 0;
    for (const spec::LayerSpec& layer : inputs_.model.layers) {
      sum += shape.fastest_compute[static_cast<std::size_t>(layer.type)];
    }
    return compute_slowdown(inputs, pipeline) * sum *
           (1 + (pipeline.num_microbatches - 1.0) / pipeline.pp_degree) * (1 - kRounding);
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
    if (!schedule()) return;
    Certificate& certificate = result_.certificate;
    for (const auto& shape : shapes_) {
      ++(!shape->question ? certificate.pruned
         : shape->fits    ? certificate.solved
                          : certificate.infeasible);
    }
  }

  void make_interleaved() {
    if (interleaved_search_) return;
    for (const auto& shape : shapes_) {
      bases_.push_back({shape->pipeline, shape->global_batch, shape->fastest_compute,
                        shape->question ? &shape->tables : nullptr});
    }
    interleaved_search_ = std::make_unique<InterleavedSearch>(
        bases_, [this](std::int64_t batch) { return inputs_of(batch); },
        [this](int ranks) -> const auto& { return candidates_of(ranks); }, options_.memory.value);
  }

  void search_interleaved() {
    make_interleaved();
    const double slack = options_.num_runners_up > 0 ? kInterleavedSlack : 1;
    interleaved_ = interleaved_search_->search(best_value_ * slack, slack);
    lower_bound_ = std::min(lower_bound_, interleaved_search_->open_bound());
    if (!interleaved_.empty()) {
      best_value_ = std::min(best_value_, interleaved_.front().ms_per_sample());
    }
    result_.certificate.interleaved = interleaved_search_->num_shapes();
    result_.certificate.interleaved_opened = interleaved_search_->num_opened();
    result_.certificate.interleaved_given_up = interleaved_search_->num_given_up();
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

  FoundPlan describe(const Solution& solution) const {
    const Shape& shape = *solution.shape;
    const ShapeAnswer& answer = solution.answer;
    const std::vector<int> choice =
        tidy_choice(shape.tables, answer.layers_per_stage, answer.choice, options_.memory.value);
    return make_found_plan(inputs_of(shape.global_batch),
                           {shape.pipeline, answer.layers_per_stage,
                            strategies(shape.tables, choice), answer.step_ms});
  }

  FoundPlan describe(const InterleavedPlan& found) const {
    const int num_stages = found.shape.num_stages();
    return make_found_plan(inputs_of(found.global_batch),
                           {found.shape, plan::even_stages(inputs_.model.num_layers(), num_stages),
                            found.layers, found.step_ms});
  }

  static bool faster(const Solution& a, const Solution& b) {
    return a.ms_per_sample() < b.ms_per_sample();
  }

  void finish() {
    std::stable_sort(solutions_.begin(), solutions_.end(), faster);
    result_.best =
        interleaved_wins() ? describe(interleaved_.front()) : describe(solutions_.front());
    Certificate& certificate = result_.certificate;
    certificate.value = best_value_;
    const bool exact = lower_bound_ >= best_value_ * (1 - 10 * kRounding);
    certificate.lower_bound = exact ? best_value_ : lower_bound_;
  }

  bool interleaved_wins() const {
    return !interleaved_.empty() && interleaved_.front().ms_per_sample() == best_value_;
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
    shown.clear();
    std::vector<FoundPlan>& out = result_.runners_up;
    for (const Solution& one : solutions_) {
      if (shown.size() > wanted) break;
      if (std::find(shown.begin(), shown.end(), one.shape.get()) != shown.end()) continue;
      shown.push_back(one.shape.get());
      if (shown.size() > 1 || interleaved_wins()) out.push_back(describe(one));
    }
    for (std::size_t i = interleaved_wins() ? 1 : 0; i < interleaved_.size() && i <= wanted; ++i) {
      out.push_back(describe(interleaved_[i]));
    }
    std::stable_sort(out.begin(), out.end(), [](const FoundPlan& a, const FoundPlan& b) {
      return a.ms_per_sample() < b.ms_per_sample();
    });
    out.resize(std::min(out.size(), wanted));
  }

  // The most promising shapes first, so that the others are out by their bound.
  void find_closest_miss() {
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    if (schedule()) least = find_closest_miss_of_one_stage_each();
    if (!interleaves()) return;
    const auto leaner = interleaved_search_->leanest(least);
    if (!leaner) return;
    result_.closest_miss = {Bytes{leaner->bytes}, leaner->shape.pp_degree,
                            leaner->shape.num_microbatches, leaner->global_batch};
  }

  std::int64_t find_closest_miss_of_one_stage_each() {
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
    return least;
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
  std::vector<InterleavedBase> bases_;  // as shapes_
  std::unique_ptr<InterleavedSearch> interleaved_search_;
  std::vector<InterleavedPlan> interleaved_;  // fastest first
  double best_value_ = kInfinity;             // ms per sample
  double lower_bound_ = kInfinity;            // of what has left the queue
  std::int64_t work_ = 0;
  SearchResult result_;
};

}  // namespace

SearchResult search_best_plan(const cost::CostInputs& inputs, const SearchOptions& options) {
  return Search(inputs, options).run();
}

}  // namespace galvatron::search
