// Where a step's time goes, seen from the pipeline rank that computes longest: PlanCost's compute,
// exposed communication and bubble, told apart by what is done and over which links.
#pragma once
#include <vector>

#include "galvatron/base/enum_names.h"
#include "galvatron/cost/plan_cost.h"

namespace galvatron::cost {

// Of communication only what the rank waits for, slow-down by overlapping included.
enum class TimePart {
  kCompute,       // forward and backward
  kRecompute,     // computed again in backward
  kOptimizer,     // once a step
  kTp,            // collectives inside layers
  kUlysses,       // exchanges around attention
  kZero,          // parameters gathered and gradients reduced with every microbatch
  kGradients,     // reduced once a step
  kParameters,    // gathered after the optimizer
  kLayoutChange,  // between layers of different strategies
  kTransfer,      // between stages
  kBubble         // other stages are waited for
};

constexpr EnumNames<11> names_of(TimePart) {
  return {"time part",
          {"computing", "recomputation", "optimizer", "TP", "Ulysses", "ZeRO", "gradient reduction",
           "parameter gathering", "changes of layout", "pipeline transfers", "bubble"}};
}

enum class LinkKind { kNone, kInsideNode, kBetweenNodes };
constexpr EnumNames<3> names_of(LinkKind) {
  return {"links", {"", "inside nodes", "between nodes"}};
}

struct StepPart {
  TimePart part = TimePart::kCompute;
  LinkKind links = LinkKind::kNone;  // the slowest that the group uses
  Milliseconds time;                 // of a step
};

// Each part and kind of links at most once, in the order of the enumerators; what takes no time is
// left out. They add up to cost.step_time. `cost`: estimate() of the plan.
std::vector<StepPart> step_parts(const CostInputs& inputs, const plan::Plan& plan,
                                 const PlanCost& cost);

// "TP inside nodes"
std::string name_of(const StepPart& part);

}  // namespace galvatron::cost
