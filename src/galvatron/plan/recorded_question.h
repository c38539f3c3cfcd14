// Which training a plan's `search` section speaks of. Whoever writes a prediction into a plan
// records it beside, so that the prediction is shown with that training alone.
#pragma once
#include <optional>
#include <string>

#include "galvatron/plan/plan.h"
#include "galvatron/spec/job_spec.h"

namespace galvatron::plan {

// Fingerprint of all that a plan says, its search section left out: an edited plan has another.
std::string plan_digest(const Plan& plan);

// Adds to plan.search: "question": {"seq_length", "global_batch", "precision", "optimizer", and of
// documents "attended_length"} of the job, beside what else it says of the question, and
// "plan_digest". REQUIRES: plan.search is null or an object.
void record_question(Plan& plan, const spec::JobSpec& job);

// The job that was recorded; nullopt: none, or nothing that can be read as one.
std::optional<spec::JobSpec> recorded_question(const Plan& plan);

// Why the search section does not speak of training this plan as `job`, as the end of "no
// prediction: "; nullopt: it does.
std::optional<std::string> unlike_recorded(const Plan& plan, const spec::JobSpec& job);

}  // namespace galvatron::plan
