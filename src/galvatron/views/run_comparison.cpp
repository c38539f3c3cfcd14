#include "galvatron/views/run_comparison.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/views/run_view.h"

namespace galvatron::views {
namespace {

std::optional<plan::TracedStep> traced_of(const Run& run, int pp_rank) {
  if (!run.plan || run.trace.is_null()) return std::nullopt;
  return plan::traced_step(run.trace, *run.plan, pp_rank);
}

}  // namespace

std::string run_step_table(const Run& run) {
  const plan::RecordedPrediction prediction =
      prediction_of(run).value_or(plan::RecordedPrediction{});
  const auto measured = traced_of(run, prediction.slowest_rank);
  if (!measured) return "";
  return step_comparison_table(compare_step(*run.plan, *measured, prediction), *measured);
}

std::string run_memory_table(const Run& run) {
  if (!run.summary) return "";
  const RunRank* most = nullptr;
  for (const RunRank& rank : run.summary->ranks) {
    if (!rank.memory || !rank.measured_bytes) continue;
    if (!most || *rank.measured_bytes > *most->measured_bytes) most = &rank;
  }
  if (!most) return "";
  return plan::memory_comparison_table(most->rank, std::max(0, most->stage), *most->memory,
                                       prediction_of(run).value_or(plan::RecordedPrediction{}));
}

planning::Calibration calibrate(const Run& run, const std::string& date) {
  const auto require = [&](bool is_there, const char* what) {
    if (is_there) return;
    throw ConfigError("[calibrate] ", run.folder, " has no ", what,
                      "; a run with --run-dir leaves it at its end");
  };
  require(run.plan.has_value(), "plan.json");
  require(run.summary.has_value(), "summary.json");
  require(!run.trace.is_null(), "trace.json");
  const auto prediction = prediction_of(run);
  if (!prediction) {
    throw ConfigError(
        "[calibrate] ", run.folder, ": its plan has no prediction of this training",
        run.summary->why_unpredicted.empty() ? "" : ": " + run.summary->why_unpredicted,
        "; train with the plan of a search, or of galvatron simulate --output");
  }
  const auto measured = traced_of(run, prediction->slowest_rank);
  require(measured.has_value(), "events in trace.json");
  planning::Calibration out;
  out.factors = planning::calibrated_factors(*run.plan, *prediction, *measured);
  out.run = run.folder;
  out.date = date;
  out.model = run.plan->model;
  out.plan = plan::summarize(*run.plan);
  out.device = run.summary->device;
  out.world_size = run.plan->world_size;
  out.precision = run.plan->precision;
  out.num_steps = measured->num_steps;
  return out;
}

}  // namespace galvatron::views
