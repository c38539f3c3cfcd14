// What a plan's search section says that its step takes, as cost's plan_cost_to_json() wrote it:
// what a run shows beside its own measurement. Of which training it speaks: recorded_question.h.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "galvatron/base/units.h"
#include "galvatron/plan/plan.h"
#include "galvatron/plan/step_kinds.h"

namespace galvatron::plan {

struct RecordedPrediction {
  std::optional<Milliseconds> step_time;
  // "compute", "exposed communication", "bubble": those that are there.
  std::vector<std::pair<std::string, Milliseconds>> step_parts;
  // The same told apart further, of pipeline rank `slowest_rank`, and by which factors of a
  // calibration it was made; nullopt: an older plan.
  std::optional<StepKinds> kinds;
  StepKinds factors{1};
  int slowest_rank = 0;
  // The speed of the machine for which it holds: what the profiler's reference load took there.
  std::optional<Milliseconds> reference;
  // Per pipeline rank: tensors of its fullest rank, without the reserve; empty when unknown.
  std::vector<Bytes> rank_memory;
  // Of each of them what it consists of, the reserve last: "parameters", "master", ...
  std::vector<std::vector<std::pair<std::string, Bytes>>> rank_parts;
};

// Reads the section's own keys, or those under "prediction", "predicted" or "cost".
RecordedPrediction read_prediction(const Plan& plan);

// Memory of a device that it was searched for; 0: not said.
Bytes recorded_budget(const Plan& plan);

}  // namespace galvatron::plan
