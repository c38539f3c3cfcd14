// Predicted time and memory of a complete plan: what `train` and the report show beside the
// measurement, and what the search optimised (the same numbers: cost_tables.h).
#pragma once
#include <string>
#include <vector>

#include "galvatron/base/json.h"
#include "galvatron/base/units.h"
#include "galvatron/cost/cost_model.h"
#include "galvatron/cost/layer_memory.h"
#include "galvatron/cost/layer_time.h"
#include "galvatron/cost/timeline.h"

namespace galvatron::cost {

struct StageMemory {
  LayerStates states;
  Bytes activations;  // of all microbatches in flight, at the moment of the peak
  Bytes transient;    // gathered parameters, unreduced gradients, temporaries at the peak
  Bytes reserve;
  Bytes total() const { return states.total() + activations + transient + reserve; }
};

struct StageCost {
  Range layers;
  Milliseconds forward;  // per microbatch, transitions and the received border included
  Milliseconds backward;
  Milliseconds once;       // per step
  Milliseconds transfers;  // of forward and backward together: waiting for borders
  // Peak of its fullest rank: of the pipeline rank that it lies on, all stages of it together.
  StageMemory memory;
  int pp_rank = 0;
};

// One row of the per-layer table.
struct LayerRow {
  int stage = 0;
  LayerTime time;           // per microbatch, mean over microbatch sizes
  LayerMemory memory;       // activation: of a microbatch of the larger size
  Bytes small_activation;   // of the smaller one
  Milliseconds transition;  // in front of it, forward + backward, per microbatch
};

struct PlanCost {
  std::string optimizer;   // the job's
  Milliseconds step_time;  // the formula of cost_tables.h
  // Of the timeline: the lists of steps that the ranks run, transfers, gathers and reductions
  // beside compute (plan_timeline.h).
  Milliseconds simulated_time;
  double tokens_per_second = 0;  // job tokens / step_time
  // Split of step_time, of the pipeline rank that computes longest: compute + exposed communication
  // + bubble = step_time. step_parts() (step_parts.h) tells the parts apart.
  int slowest_rank = 0;
  plan::StepKinds kinds;       // in milliseconds: step_time told apart, of that rank
  plan::StepKinds factors{1};  // those of the inputs
  Milliseconds compute;
  Milliseconds exposed_communication;
  Milliseconds hidden_communication;  // beside, not part of the sum
  double border_waits = 1;            // of a step (PipelineTime)
  Milliseconds bubble;
  std::vector<StageCost> stages;
  std::vector<LayerRow> layers;
  Timeline timeline;
  Bytes peak_memory() const;  // of the fullest rank
};

// REQUIRES: plan passed check_plan(); inputs.job has the plan's global_batch and precision.
PlanCost estimate(const CostInputs& inputs, const plan::Plan& plan);

// The two numbers that the search compares, as it counts them: like estimate()'s, but a weight that
// layers share counts where the search cannot know that they lie on one pipeline rank (T5's).
struct SearchedCost {
  Milliseconds step_time;
  Bytes peak_memory;
};
SearchedCost cost_as_searched(const CostInputs& inputs, const plan::Plan& plan);

// Of a row: {"forward_ms", ...} and {"state_bytes", "activation_bytes"}, as in plan_cost_to_json().
OrderedJson layer_time_to_json(const LayerRow& row);
OrderedJson layer_memory_to_json(const LayerRow& row);

// For plan.json's `search` section and reports: keys carry units.
OrderedJson plan_cost_to_json(const PlanCost& cost);
// What a plan's `search` section says of its cost: "cost_model", "memory_budget_bytes" where there
// is a budget, and "prediction", which is plan_cost_to_json() without the layers.
OrderedJson prediction_to_json(const PlanCost& cost, Bytes budget);

// Of more stages than these, tables show several in one row.
inline constexpr int kStagesOneByOne = 4;

// Readable table: stages with times and memory bars against `budget` (0: none), then the split of
// the step time.
std::string plan_cost_table(const PlanCost& cost, const plan::Plan& plan, Bytes budget);

}  // namespace galvatron::cost
