#include "galvatron/planning/answer_cells.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "galvatron/planning/answer.h"
#include "galvatron/search/report.h"

namespace galvatron::planning {
namespace {

constexpr std::size_t kPeakColumn = 6;

std::vector<ResultCell> cells_of_miss(const search::ClosestMiss& miss, Bytes memory) {
  const std::int64_t missing = miss.needed.value - memory.value;
  auto cells = no_answer(
      fmt::format("does not fit: {} ({} bytes) too little", to_text(Bytes{missing}), missing));
  cells[kPeakColumn] = {miss.needed.value, to_text(miss.needed)};
  return cells;
}

ResultCell cell(const std::optional<double>& value, std::string (*text)(double)) {
  if (!value) return {};
  return {*value, text(*value)};
}

}  // namespace

std::string plan_line(const search::FoundPlan& found) {
  return search::shape_text(found.plan) + ", " + plan::summarize(found.plan, found.layer_names);
}

std::string brief_plan(const search::FoundPlan& found) {
  constexpr std::size_t kShown = 2;
  std::map<std::string, int> counts;
  for (const plan::LayerStrategy& layer : found.plan.layers) ++counts[plan::to_text(layer)];
  std::vector<std::pair<int, std::string>> order;
  for (const auto& [strategy, count] : counts) order.emplace_back(-count, strategy);
  std::sort(order.begin(), order.end());
  std::string out = search::shape_text(found.plan) + ", ";
  for (std::size_t i = 0; i < std::min(order.size(), kShown); ++i) {
    out += fmt::format("{}{} x {}", i == 0 ? "" : ", ", -order[i].first, order[i].second);
  }
  return order.size() > kShown ? out + ", ..." : out;
}

std::vector<ResultColumn> answer_columns() {
  return {{"step_ms", "step"},
          {"tokens_per_second", "tokens/s"},
          {"tokens_per_second_per_device", "a device"},
          {"mfu", "MFU"},
          {"days", "days"},
          {"device_hours", ""},
          {"peak_memory_bytes", "peak"},
          {"gap", ""},
          {"pp_degree", ""},
          {"num_stages", ""},
          {"num_microbatches", ""},
          {"schedule", ""},
          {"layers", ""},
          {"brief", "plan", true}};
}

std::vector<ResultCell> no_answer(const std::string& text) {
  std::vector<ResultCell> cells(answer_columns().size());
  cells.back() = {text, text};
  return cells;
}

std::vector<ResultCell> answer_cells(const Question& question, const search::SearchResult& result,
                                     Bytes memory) {
  if (!result.best && !result.closest_miss) return no_answer("no plan found in time");
  if (!result.best) return cells_of_miss(*result.closest_miss, memory);
  const search::FoundPlan& found = *result.best;
  const plan::Plan& plan = found.plan;
  const Throughput rate = throughput(question, plan, found.cost);
  return {{found.cost.step_time.value, to_text(found.cost.step_time)},
          cell(rate.tokens_per_second, &rate_text),
          cell(rate.tokens_per_second_per_device, &rate_text),
          cell(rate.mfu, &mfu_text),
          cell(rate.days, &days_text),
          cell(rate.device_hours, &device_hours_text),
          {found.cost.peak_memory().value, to_text(found.cost.peak_memory())},
          {result.certificate.gap(), ""},
          {plan.pipeline.degree, ""},
          {plan.pipeline.num_stages(), ""},
          {plan.num_microbatches, ""},
          {plan::to_text(plan.pipeline.schedule), ""},
          {plan::summarize(plan, found.layer_names), ""},
          {brief_plan(found), brief_plan(found)}};
}

}  // namespace galvatron::planning
