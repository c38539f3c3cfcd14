// One shape of the space: a batch, cut into microbatches, on a pipeline under a schedule. Every
// schedule is behind this interface: the search (search.cpp) asks the shape with the lowest bound
// to go one step, whatever it is.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "galvatron/search/found_plan.h"
#include "galvatron/search/shared_pipeline.h"
#include "galvatron/search/solvers/shape_solver.h"
#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::search {

// Branches that an enumeration of one shape may take.
constexpr std::int64_t kShapeBranches = 200'000;

// What one step may look for, and at what price.
struct Effort {
  double best = kInfinity;                 // of the plans found so far; ms per sample
  double cutoff = kInfinity;               // plans from here on are of no use; ms per sample
  std::int64_t exact_work = 0;             // comparisons of labels in one attempt
  std::int64_t branches = kShapeBranches;  // of an enumeration
  bool thorough = true;                    // false: what takes more is left aside
  bool hasty = false;                      // any plan is welcome, soon
  const std::function<bool()>* interrupted = nullptr;  // says when to break off
  bool is_over() const { return interrupted && (*interrupted)(); }
};

// Spent by all shapes together.
struct SearchWork {
  std::int64_t comparisons = 0;  // of labels, a few nanoseconds each
  std::int64_t branches = 0;     // of enumerations, a fraction of a microsecond each
  std::int64_t nodes = 0;        // of what was solved
};

class ShapeCandidate {
 public:
  enum class Outcome {
    kPruned,      // its bound ruled it out, no tables were made
    kTooLarge,    // looked into; nothing fits as far as the bounds tell
    kLookedInto,  // likewise; something fits
    kGivenUp,     // likewise, with more choices than could be looked at
  };

  ShapeCandidate(std::shared_ptr<SharedPipeline> shared, const cost::PipelineShape& shape)
      : shared_(std::move(shared)), shape_(shape) {}
  virtual ~ShapeCandidate() = default;

  const cost::PipelineShape& shape() const { return shape_; }
  const SharedPipeline& shared() const { return *shared_; }
  double ms_per_sample(const ShapeAnswer& answer) const {
    return answer.step_ms / shared_->samples();
  }

  // Below them is no plan that can still be found here (infinity: there is none), and none of those
  // that were found or given up. ms per sample.
  virtual double bound() const = 0;
  double closed_bound() const { return closed_bound_; }
  Outcome outcome() const { return outcome_; }

  // One step: bound() rises, or a plan below the cutoff comes out that is the best of some part
  // (any plan in haste), or it breaks off and is as it was.
  virtual std::optional<ShapeAnswer> advance(const Effort& effort, SearchWork& spent) = 0;
  // An enumeration is as if it had not been asked: for another cutoff. What was found stands.
  virtual void reopen() {}
  // Is it an enumeration, which only a known plan keeps short? Then it comes after all others.
  virtual bool wants_cutoff() const = 0;

  // Bytes that every plan of it needs, and those of its leanest plan where they are fewer than
  // `below`; else `below`.
  virtual std::int64_t least_bytes_bound() = 0;
  virtual std::int64_t least_bytes(std::int64_t below) = 0;

  // An answer of advance() as a plan; with fewer runs of layers as far as it takes at most
  // `most_ms` per sample.
  FoundPlan describe(const ShapeAnswer& answer, double most_ms);

 protected:
  const SearchInputs& inputs() const { return shared_->inputs(); }
  std::int64_t budget() const { return inputs().options().memory.value; }
  const cost::CostTables& tables() { return shared_->tables(shape_); }
  void close_at(double bound) { closed_bound_ = std::min(closed_bound_, bound); }
  void become(Outcome outcome) { outcome_ = outcome; }

 private:
  std::shared_ptr<SharedPipeline> shared_;
  cost::PipelineShape shape_;
  double closed_bound_ = kInfinity;
  Outcome outcome_ = Outcome::kPruned;
};

}  // namespace galvatron::search
