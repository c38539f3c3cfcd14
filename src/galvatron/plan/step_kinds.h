// What a step's time goes into, as predictions and measurements tell it apart: one list for the
// cost model, the trace of a run, and the factors by which the one is made the other.
#pragma once
#include <array>
#include <cstddef>
#include <string>

#include "galvatron/base/enum_names.h"
#include "galvatron/base/units.h"

namespace galvatron::plan {

// Of communication only what the rank waits for.
enum class StepKind {
  kForward,
  kBackward,    // without what is computed again
  kRecompute,   // the forward of full recomputation; a selective one's too, where it is told apart
  kOptimizer,   // norm, clipping, update
  kTp,          // collectives inside layers
  kUlysses,     // exchanges around attention
  kZero,        // parameters gathered and gradients reduced with every microbatch
  kGradients,   // reduced once a step
  kParameters,  // gathered after the optimizer
  kLayoutChange,  // between layers of different strategies
  kTransfer,      // between stages
  kBubble,        // other ranks are waited for
  kData,          // a batch is waited for; not predicted
  kRest           // of the measured step; not predicted
};
inline constexpr std::size_t kNumStepKinds = 14;

// As files have them; tables write spaces.
constexpr EnumNames<kNumStepKinds> names_of(StepKind) {
  return {"part of a step",
          {"forward", "backward", "recomputation", "optimizer", "TP", "Ulysses", "ZeRO",
           "gradient_reduction", "parameter_gathering", "changes_of_layout", "pipeline_transfers",
           "bubble", "waiting_for_data", "rest"}};
}

// Milliseconds of each kind, or factors.
class StepKinds {
 public:
  StepKinds() : StepKinds(0) {}
  explicit StepKinds(double value) { values_.fill(value); }
  double& operator[](StepKind kind) { return values_[static_cast<std::size_t>(kind)]; }
  double operator[](StepKind kind) const { return values_[static_cast<std::size_t>(kind)]; }
  double sum() const {
    double out = 0;
    for (const double value : values_) out += value;
    return out;
  }
  bool operator==(const StepKinds&) const = default;

 private:
  std::array<double, kNumStepKinds> values_{};
};

}  // namespace galvatron::plan
