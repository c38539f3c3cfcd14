#include "galvatron/search/uneven_candidate.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace galvatron::search {
namespace {

constexpr std::size_t kBeam = 50;
// A beam looks for plans up to so much above the bound.
constexpr double kNearBound = 1.15;
// Comparisons of labels that one attempt with kTolerance may take.
constexpr std::int64_t kMostWork = 300'000'000;
constexpr double kTolerance = 1e-4;  // of the step time
// How far above its bound a part is first searched, and how fast that grows.
constexpr double kFirstStep = 5e-4;
constexpr double kStepGrowth = 2;
// How far above the first bound the stages of every length are looked at.
constexpr double kTightenStep = 1.5;
// Beyond this step it is worth asking whether any plan of the part fits.
constexpr double kDoubtfulStep = 0.1;

std::optional<ShapeAnswer> if_found(ShapeAnswer answer) {
  if (!answer.found()) return std::nullopt;
  return answer;
}

}  // namespace

UnevenCandidate::UnevenCandidate(std::shared_ptr<SharedPipeline> shared,
                                 const cost::PipelineShape& shape)
    : ShapeCandidate(std::move(shared), shape) {
  Part whole;
  whole.bound = compute_bound();
  whole.step = kFirstStep;
  put_back(std::move(whole));
}

// Every layer at the fastest of its degrees, nothing but compute, stages of equal time.
double UnevenCandidate::compute_bound() const {
  double sum = 0;
  for (const spec::LayerSpec& layer : inputs().model().layers) {
    sum += shared().fastest_compute()[static_cast<std::size_t>(layer.type)];
  }
  const double ms = shared().slowdown(shape()) * sum *
                    (1 + (shape().num_microbatches - 1.0) / shape().pp_degree) * (1 - kRounding);
  return ms / shared().samples();
}

// Tables, and which candidates of first and last layer may go together: made when its turn comes.
const ShapeQuestion& UnevenCandidate::question() {
  if (!question_) {
    question_ = std::make_unique<ShapeQuestion>(
        tables(), inputs().ranges(), tied_groups(tables()),
        ShapeOptions{budget(), inputs().options().space.uneven_stages});
    become(Outcome::kTooLarge);
  }
  return *question_;
}

void UnevenCandidate::put_back(Part part) {
  if (part.bound == kInfinity) return;
  part.order = num_parts_++;
  parts_.push_back(std::move(part));
  std::push_heap(parts_.begin(), parts_.end(), later);
}

void UnevenCandidate::raise(Part& part) const {
  part.bound = std::max(part.bound, part.solver->lower_bound() / shared().samples());
}

std::optional<ShapeAnswer> UnevenCandidate::advance(const Effort& effort, SearchWork& spent) {
  std::pop_heap(parts_.begin(), parts_.end(), later);
  Part part = std::move(parts_.back());
  parts_.pop_back();
  switch (part.stage) {
    case Part::Stage::kShape:
      part.stage = Part::Stage::kAll;
      bound_group(std::move(part), -1);
      break;
    case Part::Stage::kAll:
    case Part::Stage::kGroup:
      bound_stages(std::move(part));
      break;
    case Part::Stage::kSplit:
      for (const int group : question().groups()) {
        Part one;
        one.stage = Part::Stage::kGroup;
        one.bound = part.bound;
        one.step = part.step;
        bound_group(std::move(one), group);
      }
      break;
    case Part::Stage::kStages:
      return attempt(std::move(part), effort, spent);
  }
  return std::nullopt;
}

void UnevenCandidate::bound_group(Part part, int group) {
  part.solver = std::make_unique<ShapeSolver>(question(), group);
  raise(part);
  put_back(std::move(part));
}

void UnevenCandidate::bound_stages(Part part) {
  const bool whole = part.stage == Part::Stage::kAll && question().groups().size() > 1;
  part.solver->tighten(kTightenStep * part.solver->lower_bound());
  part.stage = whole ? Part::Stage::kSplit : Part::Stage::kStages;
  raise(part);
  if (part.bound < kInfinity) become(Outcome::kLookedInto);
  put_back(std::move(part));
}

StageLimits UnevenCandidate::limits_of(const Part& part, const Effort& effort) const {
  StageLimits limits{.max_work = effort.exact_work, .interrupted = effort.interrupted};
  if (!part.tolerant) return limits;
  // Half of it for times, half for what is paid once.
  const double slack = kTolerance * part.bound * shared().samples() / 2;
  limits.max_work = std::min(kMostWork, inputs().options().most_work);
  limits.time_tolerance = slack / (shape().pp_degree + shape().num_microbatches - 1);
  if (shape().pp_degree == 1) limits.time_tolerance = 2 * slack;
  limits.once_tolerance = slack;
  return limits;
}

// Looks only a little above the bound: what is found there is the best of the part; if nothing is,
// its bound has risen.
std::optional<ShapeAnswer> UnevenCandidate::attempt(Part part, const Effort& effort,
                                                    SearchWork& spent) {
  if (part.tolerant && !effort.thorough) return std::nullopt;
  if (effort.hasty && !std::exchange(part.glanced, true)) {
    ShapeAnswer any = glance(part, effort, spent);
    put_back(std::move(part));
    return if_found(std::move(any));
  }
  if (part.step > kDoubtfulStep && !part.fits) {
    part.fits = part.solver->least_bytes(budget() + 1) <= budget();
    if (!part.fits) return std::nullopt;
  }
  if (spent.comparisons > inputs().options().most_work) return finish_by_beam(part, effort, spent);
  const double cutoff = std::min(effort.cutoff, part.bound * (1 + part.step)) * shared().samples();
  const std::int64_t work_before = part.solver->work();
  ShapeAnswer answer = part.solver->solve(cutoff, limits_of(part, effort));
  spent.comparisons += part.solver->work() - work_before;
  raise(part);
  if (!answer.complete && effort.is_over()) {
    put_back(std::move(part));
    return std::nullopt;
  }
  if (answer.complete && answer.found()) {
    close_at(part.bound);
    spent.nodes += part.solver->num_labels();
    return answer;
  }
  if (!answer.complete && part.tolerant) return finish_by_beam(part, effort, spent);
  if (part.tolerant && cutoff == effort.cutoff * shared().samples()) {
    // Nothing is below the cutoff but for the tolerance, by which the bound stays below it for
    // good.
    close_at(part.bound);
    return std::nullopt;
  }
  part.tolerant = part.tolerant || !answer.complete;
  if (answer.complete) part.step *= kStepGrowth;
  put_back(std::move(part));
  return std::nullopt;
}

// A good plan instead of the best.
std::optional<ShapeAnswer> UnevenCandidate::finish_by_beam(const Part& part, const Effort& effort,
                                                           SearchWork& spent) {
  close_at(part.bound);
  return if_found(glance(part, effort, spent));
}

ShapeAnswer UnevenCandidate::glance(const Part& part, const Effort& effort, SearchWork& spent) {
  const StageLimits limits{.beam = kBeam, .interrupted = effort.interrupted};
  const double near = std::min(effort.best, part.bound * kNearBound);
  ShapeAnswer answer = part.solver->solve(near * shared().samples(), limits);
  if (!answer.found() && effort.best == kInfinity) {
    answer = part.solver->solve(kInfinity, limits);
  }
  spent.nodes += part.solver->num_labels();
  return answer;
}

std::int64_t UnevenCandidate::least_bytes_bound() {
  return ShapeSolver(question(), -1).least_bytes_bound();
}

std::int64_t UnevenCandidate::least_bytes(std::int64_t below) {
  for (const int group : question().groups()) {
    below = std::min(below, ShapeSolver(question(), group).least_bytes(below));
  }
  return below;
}

}  // namespace galvatron::search
