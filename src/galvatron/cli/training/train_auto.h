// `train --plan auto`: measures what was not measured yet, searches, and leaves a plan file. Runs
// this binary's own commands, so that their memory and threads are gone before the training starts.
#pragma once
#include <optional>
#include <string>

#include "galvatron/base/units.h"
#include "galvatron/comm/launch.h"
#include "galvatron/plan/plan.h"
#include "galvatron/profiler/kept_profiles.h"

namespace galvatron::cli {

struct AutoPlanRequest {
  profiler::KeptProfiles profiles;  // with model, job and ranks
  // Memory of one rank; unset: all that the hardware profile says.
  std::optional<Bytes> memory;
  std::string calibration;  // file; empty: none
  // Plan file to write.
  std::string output;
};

// Exit code: 0, or that of the command that failed, whose message is already on the terminal. On
// standard error: age, load and steadiness of the profiles that are taken.
int make_auto_plan(const AutoPlanRequest& request);

// The same where another launcher has started the ranks, on one machine or several: all of them
// measure the collectives together, rank 0 does the rest. Called by every rank.
struct SharedPlan {
  int code = 0;  // of rank 0
  plan::Plan plan;
};
// ConfigError where no store is hosted by which the ranks can agree before they connect.
SharedPlan make_auto_plan(const AutoPlanRequest& request,
                          const comm::LaunchEnvironment& environment);

}  // namespace galvatron::cli
