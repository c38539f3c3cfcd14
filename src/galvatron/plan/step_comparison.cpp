#include "galvatron/plan/step_comparison.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "galvatron/base/table.h"

namespace galvatron::plan {
namespace {

std::string spaced_name(StepKind kind) {
  std::string name = enum_text(kind);
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

bool has_selective(const Plan& plan) {
  return std::any_of(plan.layers.begin(), plan.layers.end(), [](const LayerStrategy& layer) {
    return layer.recompute == Recompute::kSelective;
  });
}

// Kinds that are shown as one, the first of them in front.
std::vector<std::vector<StepKind>> rows_of(const Plan& plan, const TracedStep& measured) {
  using enum StepKind;
  std::vector<std::vector<StepKind>> rows;
  if (measured.tells_collectives) {
    rows = {{kForward}, {kBackward}, {kRecompute}};
    if (has_selective(plan)) rows = {{kForward}, {kBackward, kRecompute}};
    for (const StepKind kind : {kTp, kUlysses, kZero, kGradients, kLayoutChange}) {
      rows.push_back({kind});
    }
  } else {
    rows = {{kForward, kBackward, kRecompute, kTp, kUlysses, kZero, kGradients, kLayoutChange}};
  }
  for (const StepKind kind : {kTransfer, kBubble, kOptimizer, kParameters, kData, kRest}) {
    rows.push_back({kind});
  }
  return rows;
}

std::string row_name(const std::vector<StepKind>& kinds) {
  if (kinds.size() == 1) return spaced_name(kinds[0]);
  return kinds.size() == 2 ? "backward, recomputation" : "layers with their collectives";
}

double sum_of(const StepKinds& ms, const std::vector<StepKind>& kinds) {
  double out = 0;
  for (const StepKind kind : kinds) out += ms[kind];
  return out;
}

std::string ratio_text(const std::optional<double>& predicted, double measured) {
  return predicted && *predicted > 0 ? fmt::format("{:.2f}", measured / *predicted) : "-";
}

}  // namespace

std::vector<StepComparisonRow> compare_step(const Plan& plan, const TracedStep& measured,
                                            const RecordedPrediction& prediction) {
  constexpr double kShown = 5e-4;  // of the step
  std::vector<StepComparisonRow> out;
  for (const std::vector<StepKind>& kinds : rows_of(plan, measured)) {
    StepComparisonRow row{row_name(kinds), std::nullopt, sum_of(measured.ms, kinds)};
    const bool is_predicted = kinds[0] != StepKind::kData && kinds[0] != StepKind::kRest;
    if (prediction.kinds && is_predicted) row.predicted_ms = sum_of(*prediction.kinds, kinds);
    if (std::max(row.measured_ms, row.predicted_ms.value_or(0)) > kShown * measured.step.value) {
      out.push_back(std::move(row));
    }
  }
  StepComparisonRow step{"step", std::nullopt, measured.step.value};
  if (prediction.kinds) step.predicted_ms = prediction.kinds->sum();
  out.push_back(std::move(step));
  return out;
}

std::string step_comparison_table(const std::vector<StepComparisonRow>& rows,
                                  const TracedStep& measured) {
  const bool is_predicted = std::any_of(
      rows.begin(), rows.end(), [](const auto& row) { return row.predicted_ms.has_value(); });
  const std::string of =
      measured.num_steps == 1 ? "of a step" : fmt::format("of {} steps", measured.num_steps);
  std::vector<std::string> headers = {of};
  if (is_predicted) headers.push_back("predicted");
  headers.push_back("measured");
  headers.push_back(is_predicted ? "ratio" : "share");
  TextTable table(headers);
  for (const StepComparisonRow& row : rows) {
    std::vector<std::string> cells = {row.name};
    if (is_predicted) {
      cells.push_back(row.predicted_ms ? to_text(Milliseconds{*row.predicted_ms}) : "-");
    }
    cells.push_back(to_text(Milliseconds{row.measured_ms}));
    const double step = measured.step.value;
    cells.push_back(is_predicted
                        ? ratio_text(row.predicted_ms, row.measured_ms)
                        : fmt::format("{:.0f} %", step > 0 ? 100 * row.measured_ms / step : 0));
    table.add_row(std::move(cells));
  }
  return table.to_string();
}

}  // namespace galvatron::plan
