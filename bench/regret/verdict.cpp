#include "regret/verdict.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "galvatron/base/table.h"
#include "galvatron/profiler/stopwatch.h"

namespace galvatron::bench {
namespace {

// Pairs of plans that differ by less are not ordered.
constexpr double kClearDifference = 1.05;

struct Row {
  double predicted = 0, simulated = 0, measured = 0;  // over those of the first plan
  double spread = 0;                                  // of `measured`
  double memory = 1;  // predicted over measured, without reserve; 1 where nobody measured
  double error() const { return predicted / measured - 1; }
  double simulated_error() const { return simulated / measured - 1; }
};

std::vector<Row> rows_of(const Contenders& contenders, const std::vector<Measured>& measured,
                         Bytes reserve) {
  std::vector<Row> rows;
  const cost::PlanCost& first = contenders.plans[0].predicted;
  for (std::size_t i = 0; i < measured.size(); ++i) {
    const cost::PlanCost& cost = contenders.plans[i].predicted;
    Row row;
    row.predicted = cost.step_time.value / first.step_time.value;
    row.simulated = cost.simulated_time.value / first.simulated_time.value;
    row.measured = profiler::median(measured[i].relative);
    row.spread = profiler::relative_spread(measured[i].relative);
    if (measured[i].peak.value > 0) {
      row.memory = static_cast<double>((cost.peak_memory() - reserve).value) /
                   static_cast<double>(measured[i].peak.value);
    }
    rows.push_back(row);
  }
  return rows;
}

struct Errors {
  double mean = 0, worst = 0, bias = 1;  // geometric mean of predicted over measured
};

template <typename Get>
Errors errors_of(const std::vector<Row>& rows, Get ratio) {
  Errors out;
  double logs = 0;
  int count = 0;
  for (std::size_t i = 2; i < rows.size(); ++i, ++count) {
    const double error = std::abs(ratio(rows[i]) - 1);
    out.mean += error;
    out.worst = std::max(out.worst, error);
    logs += std::log(ratio(rows[i]));
  }
  if (count == 0) return out;
  out.mean /= count;
  out.bias = std::exp(logs / count);
  return out;
}

struct Pairs {
  int right = 0, all = 0;
  double share() const { return all > 0 ? static_cast<double>(right) / all : 1; }
};

template <typename Get>
Pairs pairs_of(const std::vector<Row>& rows, Get predicted) {
  Pairs out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i == 1) continue;
    for (std::size_t j = 0; j < i; ++j) {
      const double ratio = rows[i].measured / rows[j].measured;
      if (j == 1 || std::max(ratio, 1 / ratio) < kClearDifference) continue;
      ++out.all;
      if ((predicted(rows[i]) > predicted(rows[j])) == (ratio > 1)) ++out.right;
    }
  }
  return out;
}

struct Regret {
  Bytes memory;
  std::string searched, best;
  double value = 0;      // of the searched plan over the fastest measured one that fits
  double simulated = 0;  // the same of the one that is simulated to be the fastest
};

std::vector<Regret> regrets_of(const Contenders& contenders, const std::vector<Row>& rows) {
  std::vector<Regret> out;
  for (const Budget& budget : contenders.budgets) {
    std::size_t searched = rows.size(), best = rows.size(), simulated = rows.size();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Contender& one = contenders.plans[i];
      if (i == 1 || one.predicted.peak_memory() > budget.memory) continue;
      if (name(one.plan) == budget.searched) searched = i;
      if (best == rows.size() || rows[i].measured < rows[best].measured) best = i;
      if (simulated == rows.size() || rows[i].simulated < rows[simulated].simulated) simulated = i;
    }
    if (searched == rows.size()) continue;
    out.push_back({budget.memory, budget.searched, name(contenders.plans[best].plan),
                   rows[searched].measured / rows[best].measured - 1,
                   rows[simulated].measured / rows[best].measured - 1});
  }
  return out;
}

std::string percent(double value) { return fmt::format("{:+.1f} %", 100 * value); }

std::string table_of(const Contenders& contenders, const std::vector<Row>& rows) {
  TextTable table({"plan", "from", "predicted", "simulated", "measured", "spread", "error",
                   "simulated's", "memory"});
  table.align(1, TextTable::Align::kLeft);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < rows.size(); ++i) order.push_back(i);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return rows[a].measured < rows[b].measured; });
  for (const std::size_t i : order) {
    const Row& row = rows[i];
    table.add_row({name(contenders.plans[i].plan), contenders.plans[i].origin,
                   fmt::format("{:.3f}", row.predicted), fmt::format("{:.3f}", row.simulated),
                   fmt::format("{:.3f}", row.measured), fmt::format("{:.1f} %", 100 * row.spread),
                   percent(row.error()), percent(row.simulated_error()),
                   fmt::format("{:.3f}", row.memory)});
  }
  return table.to_string("  ", std::nullopt);
}

std::string errors_text(const std::string& of, const Errors& errors, const Pairs& pairs) {
  return fmt::format(
      "  {}: error {:.1f} % on average, {:.1f} % at worst, predicted / measured {:.3f}; {} of {} "
      "pairs that differ by over 5 % in the right order ({:.1f} %)\n",
      of, 100 * errors.mean, 100 * errors.worst, errors.bias, pairs.right, pairs.all,
      100 * pairs.share());
}

const auto kPredicted = [](const Row& row) { return row.predicted; };
const auto kSimulated = [](const Row& row) { return row.simulated; };
const auto kTimeRatio = [](const Row& row) { return row.predicted / row.measured; };
const auto kSimulatedRatio = [](const Row& row) { return row.simulated / row.measured; };
const auto kMemoryRatio = [](const Row& row) { return row.memory; };

OrderedJson errors_json(const Errors& errors) {
  return {{"mean", errors.mean}, {"worst", errors.worst}, {"predicted_over_measured", errors.bias}};
}

}  // namespace

std::string verdict_text(const Contenders& contenders, const std::vector<Measured>& measured,
                         Bytes reserve) {
  const std::vector<Row> rows = rows_of(contenders, measured, reserve);
  std::string out = table_of(contenders, rows);
  const double first_ms = profiler::median(measured[0].ms);
  const cost::PlanCost& first = contenders.plans[0].predicted;
  out += fmt::format(
      "\n  {} plans beside plain data parallelism, which took {:.1f} ms ({:.1f} predicted, {:.3f} "
      "of it)\n",
      rows.size() - 2, first_ms, first.step_time.value, first.step_time.value / first_ms);
  out += errors_text("formula", errors_of(rows, kTimeRatio), pairs_of(rows, kPredicted));
  out += errors_text("simulation", errors_of(rows, kSimulatedRatio), pairs_of(rows, kSimulated));
  const Errors memory = errors_of(rows, kMemoryRatio);
  double least = std::numeric_limits<double>::infinity();
  for (const Row& row : rows) least = std::min(least, row.memory);
  out += fmt::format(
      "  memory: error {:.2f} % on average, {:.1f} % at worst; predicted / measured at least "
      "{:.3f}\n",
      100 * memory.mean, 100 * memory.worst, least);
  out += fmt::format("  noise: the first plan against itself {:.3f}, spread {:.1f} %\n",
                     rows[1].measured, 100 * rows[1].spread);
  for (const Regret& one : regrets_of(contenders, rows)) {
    out += fmt::format(
        "  {}: the searched plan takes {:.1f} % more than the best that fits, the one simulated to "
        "be the fastest {:.1f} %\n    searched  {}\n    best      {}\n",
        to_text(one.memory), 100 * one.value, 100 * one.simulated, one.searched, one.best);
  }
  return out;
}

OrderedJson verdict_json(const Contenders& contenders, const std::vector<Measured>& measured,
                         Bytes reserve) {
  const std::vector<Row> rows = rows_of(contenders, measured, reserve);
  OrderedJson plans = OrderedJson::array();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    plans.push_back({{"name", name(contenders.plans[i].plan)},
                     {"origin", contenders.plans[i].origin},
                     {"predicted", rows[i].predicted},
                     {"simulated", rows[i].simulated},
                     {"measured", rows[i].measured},
                     {"spread", rows[i].spread},
                     {"relative", measured[i].relative},
                     {"ms", measured[i].ms},
                     {"peak_bytes", measured[i].peak.value},
                     {"predicted_ms", contenders.plans[i].predicted.step_time.value},
                     {"memory_predicted_over_measured", rows[i].memory},
                     {"plan", plan::plan_to_json(contenders.plans[i].plan)}});
  }
  OrderedJson regrets = OrderedJson::array();
  for (const Regret& one : regrets_of(contenders, rows)) {
    regrets.push_back({{"memory_bytes", one.memory.value},
                       {"searched", one.searched},
                       {"best", one.best},
                       {"regret", one.value},
                       {"regret_of_simulated", one.simulated}});
  }
  return {{"formula", errors_json(errors_of(rows, kTimeRatio))},
          {"simulation", errors_json(errors_of(rows, kSimulatedRatio))},
          {"memory", errors_json(errors_of(rows, kMemoryRatio))},
          {"pairs_right", pairs_of(rows, kPredicted).share()},
          {"pairs_right_simulated", pairs_of(rows, kSimulated).share()},
          {"noise", {{"against_itself", rows[1].measured}, {"spread", rows[1].spread}}},
          {"regret", regrets},
          {"plans", plans}};
}

std::pair<Contenders, std::vector<Measured>> from_verdict_json(const Json& verdict,
                                                               const cost::CostInputs& inputs) {
  Contenders contenders;
  std::vector<Measured> measured;
  for (const Json& one : verdict.at("plans")) {
    plan::Plan plan = plan::plan_from_json(one.at("plan"), "the verdict");
    cost::PlanCost predicted = cost::estimate(inputs, plan);
    contenders.plans.push_back(
        {one.at("origin").get<std::string>(), std::move(plan), std::move(predicted)});
    measured.push_back({one.at("relative").get<std::vector<double>>(),
                        one.at("ms").get<std::vector<double>>(),
                        {one.at("peak_bytes").get<std::int64_t>()}});
  }
  for (const Json& one : verdict.at("regret")) {
    contenders.budgets.push_back(
        {{one.at("memory_bytes").get<std::int64_t>()}, one.at("searched").get<std::string>()});
  }
  return {std::move(contenders), std::move(measured)};
}

}  // namespace galvatron::bench
