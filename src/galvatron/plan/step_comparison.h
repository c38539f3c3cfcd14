// A step as it was predicted beside the step as it was measured, part by part: what train prints at
// its end and the report of a run shows.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "galvatron/plan/recorded_prediction.h"
#include "galvatron/plan/traced_step.h"

namespace galvatron::plan {

struct StepComparisonRow {
  std::string name;
  std::optional<double> predicted_ms;
  double measured_ms = 0;
};

// The parts that either has, in their order; without a prediction those that were measured. Under
// a selective recomputation what is computed again counts as backward, as the trace has it; where
// the trace does not tell what collectives are for, all that layers wait for is in one row with
// forward and backward.
std::vector<StepComparisonRow> compare_step(const Plan& plan, const TracedStep& measured,
                                            const RecordedPrediction& prediction);

// "part  predicted  measured  ratio", the step last.
std::string step_comparison_table(const std::vector<StepComparisonRow>& rows,
                                  const TracedStep& measured);

}  // namespace galvatron::plan
