#include "galvatron/planning/comparison.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/table.h"
#include "galvatron/search/report.h"

namespace galvatron::planning {
namespace {

std::string percent_change(double from, double to) {
  return from > 0 ? search::percent_more(to, from) : "";
}

// "+70 ms", "-1.20 GiB".
template <class Unit>
std::string signed_text(Unit from, Unit to) {
  if (from == to) return "0";
  return from < to ? "+" + to_text(to - from) : "-" + to_text(from - to);
}

// A part of the step that adds up to it, per sample.
struct Part {
  const char* name;
  Milliseconds cost::PlanCost::* member;
};
constexpr std::array kParts = {
    Part{"compute", &cost::PlanCost::compute},
    Part{"exposed communication", &cost::PlanCost::exposed_communication},
    Part{"bubble", &cost::PlanCost::bubble}};

class ComparisonTable {
 public:
  ComparisonTable(const PricedPlan& one, const PricedPlan& other)
      : table_({"", one.name, other.name, "difference", ""}) {}

  template <class Unit>
  void add(const std::string& name, Unit one, Unit other) {
    table_.add_row(
        {name, to_text(one), to_text(other), signed_text(one, other),
         percent_change(static_cast<double>(one.value), static_cast<double>(other.value))});
  }
  void add_words(const std::string& name, const std::string& one, const std::string& other) {
    if (one != other) table_.add_row({name, one, other, "", ""});
  }
  void add_number(const std::string& name, double one, double other) {
    table_.add_row({name, fmt::format("{:.0f}", one), fmt::format("{:.0f}", other),
                    fmt::format("{:+.0f}", other - one), percent_change(one, other)});
  }
  std::string to_string() const { return table_.to_string(); }

 private:
  TextTable table_;
};

// Of the pipelines, what differs.
void add_shapes(ComparisonTable& table, const plan::Plan& one, const plan::Plan& other) {
  const auto number = [&](const char* name, std::int64_t a, std::int64_t b) {
    table.add_words(name, std::to_string(a), std::to_string(b));
  };
  number("ranks", one.world_size, other.world_size);
  number("global batch", one.global_batch, other.global_batch);
  number("microbatches", one.num_microbatches, other.num_microbatches);
  number("pipeline ranks", one.pipeline.degree, other.pipeline.degree);
  table.add_words("schedule", to_text(one.pipeline.schedule), to_text(other.pipeline.schedule));
  table.add_words("layers per stage",
                  fmt::format("{}", fmt::join(one.pipeline.layers_per_stage, ",")),
                  fmt::format("{}", fmt::join(other.pipeline.layers_per_stage, ",")));
  table.add_words("precision", to_text(one.precision), to_text(other.precision));
}

Bytes memory_of_rank(const PricedPlan& priced, int pp_rank) {
  return priced.cost.stages[static_cast<std::size_t>(pp_rank)].memory.total();
}

void add_memory(ComparisonTable& table, const PricedPlan& one, const PricedPlan& other) {
  table.add("memory of the fullest", one.cost.peak_memory(), other.cost.peak_memory());
  const int degree = one.plan.pipeline.degree;
  if (degree != other.plan.pipeline.degree || degree == 1) return;
  for (int rank = 0; rank < degree; ++rank) {
    table.add(fmt::format("  pipeline rank {}", rank), memory_of_rank(one, rank),
              memory_of_rank(other, rank));
  }
}

// " (1-32)", " (33)".
std::string layers_text(Range layers) {
  return layers.size() == 1 ? fmt::format(" ({})", layers.begin)
                            : fmt::format(" ({}-{})", layers.begin, layers.end - 1);
}

std::string strategy_table(const PricedPlan& one, const PricedPlan& other) {
  const auto differences =
      strategy_differences(one.plan, other.plan, one.question.model.layer_names());
  if (differences.empty()) return "  every layer has the same strategy in both\n";
  TextTable table({"where they differ", one.name, other.name});
  table.align(1, TextTable::Align::kLeft);
  table.align(2, TextTable::Align::kLeft);
  for (const StrategyDifference& run : differences) {
    table.add_row({run.name + layers_text(run.layers), to_text(run.one), to_text(run.other)});
  }
  return table.to_string();
}

double per_sample(Milliseconds time, const PricedPlan& priced) {
  return time.value / static_cast<double>(priced.plan.global_batch);
}

// "20 ms more bubble, 5 ms less compute": the loser's against the winner's, largest first.
std::string reasons(const PricedPlan& winner, const PricedPlan& loser) {
  struct Reason {
    double more = 0;
    const char* name;
  };
  std::vector<Reason> found;
  for (const Part& part : kParts) {
    const double more =
        per_sample(loser.cost.*part.member, loser) - per_sample(winner.cost.*part.member, winner);
    found.push_back({more, part.name});
  }
  const auto larger = [](const Reason& a, const Reason& b) {
    return std::abs(a.more) > std::abs(b.more);
  };
  std::stable_sort(found.begin(), found.end(), larger);
  const bool same_batch = winner.plan.global_batch == loser.plan.global_batch;
  const double scale = same_batch ? static_cast<double>(winner.plan.global_batch) : 1;
  const double whole = winner.cost.step_time.value;
  std::vector<std::string> words;
  for (const Reason& reason : found) {
    const double ms = std::abs(reason.more) * scale;
    if (ms <= 1e-9 * whole) continue;
    words.push_back(fmt::format("{} {} {}", to_text(Milliseconds{ms}),
                                reason.more > 0 ? "more" : "less", reason.name));
  }
  return fmt::format("{}{}", fmt::join(words, ", "), same_batch ? " a step" : " a sample");
}

}  // namespace

std::vector<StrategyDifference> strategy_differences(const plan::Plan& one, const plan::Plan& other,
                                                     const std::vector<std::string>& layer_names) {
  const auto count = static_cast<std::int64_t>(one.layers.size());
  std::vector<StrategyDifference> out;
  for (const plan::LayerRun& run : layer_runs(one, {0, count}, layer_names)) {
    for (const plan::LayerRun& part : layer_runs(other, run.layers, layer_names)) {
      const auto first = static_cast<int>(part.layers.begin);
      if (one.strategy(first) == other.strategy(first)) continue;
      out.push_back({part.layers, part.name, one.strategy(first), other.strategy(first)});
    }
  }
  return out;
}

std::string verdict(const PricedPlan& one, const PricedPlan& other) {
  if (!one.fits() && !other.fits())
    return why_it_does_not_fit(one) + "; " + why_it_does_not_fit(other);
  if (!one.fits()) return why_it_does_not_fit(one) + fmt::format("; {} fits", other.name);
  if (!other.fits()) return why_it_does_not_fit(other) + fmt::format("; {} fits", one.name);
  if (one.cost.tokens_per_second == other.cost.tokens_per_second) return "both are equally fast";
  const bool first = one.cost.tokens_per_second > other.cost.tokens_per_second;
  const PricedPlan &winner = first ? one : other, &loser = first ? other : one;
  const double gain = winner.cost.tokens_per_second / loser.cost.tokens_per_second - 1;
  return fmt::format("{} wins with {:.2f} % more tokens/s: {} has {}", winner.name, 100 * gain,
                     loser.name, reasons(winner, loser));
}

std::string compare_plans(const PricedPlan& one, const PricedPlan& other) {
  ComparisonTable table(one, other);
  table.add("step", one.cost.step_time, other.cost.step_time);
  for (const Part& part : kParts) {
    table.add(std::string("  ") + part.name, one.cost.*part.member, other.cost.*part.member);
  }
  table.add("hidden communication", one.cost.hidden_communication, other.cost.hidden_communication);
  table.add_number("tokens/s", one.cost.tokens_per_second, other.cost.tokens_per_second);
  add_memory(table, one, other);
  add_shapes(table, one.plan, other.plan);
  return table.to_string() + "\n" + strategy_table(one, other) + "\n  " + verdict(one, other) +
         "\n";
}

}  // namespace galvatron::planning
