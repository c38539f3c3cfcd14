#include "galvatron/views/search_view.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "galvatron/plan/recorded_question.h"
#include "galvatron/planning/answer.h"
#include "galvatron/planning/answer_cells.h"
#include "galvatron/search/report.h"
#include "galvatron/views/amounts.h"

namespace galvatron::views {
namespace {

OrderedJson found_view(const SearchAnswer& answer, const search::FoundPlan& found,
                       const std::string& name, OrderedJson plan) {
  return {{"name", name},
          {"line", planning::plan_line(found)},
          {"plan", std::move(plan)},
          {"step", amount(found.cost.step_time)},
          {"memory", amount(found.cost.peak_memory())},
          {"text", to_text(found, answer.memory())}};
}

// Of a plan beside the best one: what it is a plan for.
OrderedJson recorded_plan(const SearchAnswer& answer, const search::FoundPlan& found) {
  plan::Plan plan = found.plan;
  plan::record_question(plan, answer.prepared.question.inputs(plan.global_batch).job);
  return plan_to_json(plan);
}

OrderedJson loss_view(const planning::RunnerUpLoss& loss, const search::SearchResult& result,
                      std::size_t index) {
  OrderedJson parts = OrderedJson::array();
  for (const cost::StepPart& part : loss.parts) {
    const std::string text = to_text(Milliseconds{std::abs(part.time.value)});
    parts.push_back({{"name", name_of(part)},
                     {"ms", part.time.value},
                     {"text", (part.time.value < 0 ? "-" : "+") + text}});
  }
  return {{"more_ms", loss.more.value},
          {"text", loss_line(loss, result, index)},
          {"parts", std::move(parts)},
          {"more_bytes", loss.more_bytes}};
}

OrderedJson runners_up_view(const SearchAnswer& answer) {
  const search::SearchResult& result = answer.result;
  const auto losses = answer.explanation ? answer.explanation->losses
                                         : planning::runner_up_losses(answer.prepared, result);
  OrderedJson out = OrderedJson::array();
  for (std::size_t i = 0; i < result.runners_up.size(); ++i) {
    const search::FoundPlan& found = result.runners_up[i];
    OrderedJson& row = out.emplace_back(found_view(
        answer, found, fmt::format("runner-up {}", i + 1), recorded_plan(answer, found)));
    row["loss"] = loss_view(losses[i], result, i);
  }
  return out;
}

OrderedJson baselines_view(const SearchAnswer& answer) {
  OrderedJson out = OrderedJson::array();
  for (const planning::Baseline& one : answer.baselines) {
    const cost::PlanCost& cost = one.found.cost;
    out.push_back({{"name", one.name},
                   {"help", one.help},
                   {"fits", one.fits()},
                   {"missing", amount_or_null(one.missing)},
                   {"step", amount(cost.step_time)},
                   {"tokens_per_second", cost.tokens_per_second},
                   {"memory", amount(cost.peak_memory())},
                   {"plan", recorded_plan(answer, one.found)}});
  }
  return out;
}

OrderedJson shadow_prices_view(const SearchAnswer& answer) {
  OrderedJson out = OrderedJson::array();
  if (!answer.explanation) return out;
  for (const planning::ShadowPrice& price : answer.explanation->prices) {
    const planning::ShadowPriceTexts texts = texts_of(price);
    out.push_back({{"with", texts.change},
                   {"step", texts.step},
                   {"gain", texts.gain},
                   {"memory", texts.memory},
                   {"plan", texts.plan}});
  }
  return out;
}

OrderedJson certificate_view(const search::Certificate& certificate) {
  return {{"text", to_text(certificate)},
          {"value_ms", certificate.value},
          {"lower_bound_ms", certificate.lower_bound},
          {"gap", certificate.gap()}};
}

// The least that --memory may say for a plan to have `needed`, with the margin that then counts.
Bytes memory_to_ask_for(const planning::Question& question, Bytes needed) {
  if (!question.margin_is_given) return needed;
  const planning::MemoryMargin& margin = question.margin;
  Bytes out = needed + margin.bytes;
  if (margin.share > 0) {
    out = whole_bytes(static_cast<double>(needed.value) / (1 - margin.share));
  }
  while (out - margin.of(out) < needed) ++out.value;
  return out;
}

OrderedJson miss_view(const SearchAnswer& answer) {
  const auto& miss = answer.result.closest_miss;
  if (!miss) return nullptr;
  const Bytes wanted = memory_to_ask_for(answer.prepared.question, miss->needed);
  const Bytes device = answer.prepared.question.hardware.device_memory;
  const bool is_beyond = device.value > 0 && wanted > device;
  // Rounded up it may be more than a device has, which fits all the same.
  const std::string readable = rounded_up_text(wanted);
  const bool is_more = !is_beyond && device.value > 0 && parse_bytes(readable, "memory") > device;
  return {{"sentence", no_plan_text(answer.result, answer.memory())},
          {"needed_bytes", miss->needed.value},
          {"memory_bytes", answer.memory().value},
          {"memory_option", is_more ? exact_text(device) : readable},
          {"beyond_device", is_beyond ? OrderedJson(to_text(device)) : OrderedJson(nullptr)},
          {"plan", answer.leanest ? recorded_plan(answer, *answer.leanest) : OrderedJson(nullptr)}};
}

OrderedJson gain_view(const OrderedJson& plan) { return plan["search"]["baselines"]["gain"]; }

}  // namespace

OrderedJson search_view(const SearchAnswer& answer) {
  const search::SearchResult& result = answer.result;
  OrderedJson out = {
      {"question", question_to_json(answer.prepared.question, answer.global_batch())},
      {"question_text", answer.question_text()},
      {"best", nullptr},
      {"runners_up", OrderedJson::array()},
      {"baselines", baselines_view(answer)},
      {"gain", nullptr},
      {"explanation", nullptr},
      {"shadow_prices", shadow_prices_view(answer)},
      {"certificate", certificate_view(result.certificate)},
      {"text", answer.question_text() + "\n" + answer.text()},
      {"miss", miss_view(answer)}};
  if (!result.best) return out;
  OrderedJson plan = plan_to_json(answer.best_plan());
  out["gain"] = gain_view(plan);
  out["best"] = found_view(answer, *result.best, "best", std::move(plan));
  out["runners_up"] = runners_up_view(answer);
  if (answer.explanation) out["explanation"] = explanation_to_json(*answer.explanation);
  return out;
}

OrderedJson search_progress_view(const search::SearchProgress& progress) {
  return {{"progress",
           {{"candidates", progress.candidates},
            {"decided", progress.decided},
            {"best_ms", std::isfinite(progress.best) ? OrderedJson(progress.best) : nullptr},
            {"bound_ms", progress.bound},
            {"seconds", progress.seconds},
            {"text", to_text(progress)}}}};
}

OrderedJson results_progress_view(std::int64_t done, std::int64_t total) {
  return {{"progress",
           {{"done", done}, {"total", total}, {"text", fmt::format("{} of {}", done, total)}}}};
}

OrderedJson results_view(const planning::Results& results, const std::string& title) {
  const planning::ResultTable& table = results.table;
  OrderedJson columns = OrderedJson::array(), rows = OrderedJson::array();
  for (const std::size_t c : table.shown()) {
    const planning::ResultColumn& column = table.columns()[c];
    columns.push_back({{"key", column.key}, {"title", column.head}, {"left", column.left}});
  }
  for (const auto& row : table.rows()) {
    OrderedJson& cells = rows.emplace_back(OrderedJson::array());
    for (const std::size_t c : table.shown()) {
      cells.push_back({{"text", row[c].text}, {"value", row[c].value}});
    }
  }
  return {{"title", title},
          {"columns", std::move(columns)},
          {"rows", std::move(rows)},
          {"notes", results.notes},
          {"json", results.json},
          {"csv", table.to_csv()},
          {"text", table.to_text() + results.notes}};
}

}  // namespace galvatron::views
