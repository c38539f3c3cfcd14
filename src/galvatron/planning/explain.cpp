#include "galvatron/planning/explain.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/table.h"
#include "galvatron/planning/left_out.h"
#include "galvatron/search/report.h"

namespace galvatron::planning {
namespace {

using cost::StepPart;

// Of the step: smaller parts are not told.
constexpr double kWorthTelling = 5e-4;
// Gain from where on something is said to bind.
constexpr double kBinds = 1e-3;

double ms_per_sample(Milliseconds time, const search::FoundPlan& found) {
  return time.value / static_cast<double>(found.plan.global_batch);
}

std::vector<StepPart> parts_of(const PreparedSearch& prepared, const search::FoundPlan& found) {
  return step_parts(prepared.question.inputs(found.plan.global_batch), found.plan, found.cost);
}

// The plan's parts, scaled to the batch of the best one, less the best one's.
std::vector<StepPart> differences(std::vector<StepPart> parts, double scale,
                                  const std::vector<StepPart>& best, double tell_from_ms) {
  for (StepPart& one : parts) one.time = scale * one.time;
  for (const StepPart& theirs : best) {
    const auto same = std::find_if(parts.begin(), parts.end(), [&](const StepPart& one) {
      return one.part == theirs.part && one.links == theirs.links;
    });
    if (same != parts.end()) {
      same->time -= theirs.time;
    } else {
      parts.push_back({theirs.part, theirs.links, -1 * theirs.time});
    }
  }
  std::erase_if(parts,
                [&](const StepPart& one) { return std::abs(one.time.value) < tell_from_ms; });
  std::stable_sort(parts.begin(), parts.end(), [](const StepPart& a, const StepPart& b) {
    return std::abs(a.time.value) > std::abs(b.time.value);
  });
  return parts;
}

RunnerUpLoss loss_of(const PreparedSearch& prepared, const search::FoundPlan& other,
                     const search::FoundPlan& best) {
  const double scale =
      static_cast<double>(best.plan.global_batch) / static_cast<double>(other.plan.global_batch);
  RunnerUpLoss loss;
  loss.more = scale * other.cost.step_time - best.cost.step_time;
  loss.more_bytes = (other.cost.peak_memory() - best.cost.peak_memory()).value;
  loss.parts = differences(parts_of(prepared, other), scale, parts_of(prepared, best),
                           kWorthTelling * best.cost.step_time.value);
  return loss;
}

int fullest_stage(const cost::PlanCost& cost) {
  const auto fullest = std::max_element(
      cost.stages.begin(), cost.stages.end(),
      [](const auto& a, const auto& b) { return a.memory.total() < b.memory.total(); });
  return static_cast<int>(fullest - cost.stages.begin());
}

std::string percent_of(double part, double whole) {
  return fmt::format("{:.1f} %", whole > 0 ? 100 * part / whole : 0);
}

std::string memory_line(const Explanation& explanation, const search::FoundPlan& best,
                        Bytes budget) {
  const cost::StageMemory& memory =
      best.cost.stages[static_cast<std::size_t>(explanation.fullest_stage)].memory;
  return fmt::format(
      "  memory: stage {} is the fullest, {} of {} ({}): states {}, activations {}, transient {}, "
      "reserve {}\n",
      explanation.fullest_stage, to_text(memory.total()), to_text(budget),
      percent_of(static_cast<double>(memory.total().value), static_cast<double>(budget.value)),
      to_text(memory.states.total()), to_text(memory.activations), to_text(memory.transient),
      to_text(memory.reserve));
}

std::string slowest_rank_text(const search::FoundPlan& found) {
  const plan::Pipeline& pipeline = found.plan.pipeline;
  if (pipeline.degree == 1) return "";
  const char* what = pipeline.stages_per_rank() == 1 ? "stage" : "pipeline rank";
  return fmt::format(", seen from {} {} of {}, which computes longest", what,
                     found.cost.slowest_rank, pipeline.degree);
}

std::string parts_table(const Explanation& explanation, const search::FoundPlan& best) {
  TextTable table({"time", "of a step", "share"});
  for (const StepPart& one : explanation.parts) {
    if (one.time < kWorthTelling * best.cost.step_time) continue;
    table.add_row(
        {name_of(one), to_text(one.time), percent_of(one.time.value, best.cost.step_time.value)});
  }
  return table.to_string("    ");
}

// "12.1 ms TP inside nodes, 3.0 ms bubble" of those that are more, or those that are less.
std::string list_parts(const std::vector<StepPart>& parts, bool more) {
  constexpr std::size_t kMost = 4;
  std::vector<std::string> words;
  for (const StepPart& one : parts) {
    if ((one.time.value > 0) != more || words.size() == kMost) continue;
    words.push_back(to_text(Milliseconds{std::abs(one.time.value)}) + " " + name_of(one));
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string difference_text(const RunnerUpLoss& loss) {
  std::string out;
  for (const bool more : {true, false}) {
    const std::string words = list_parts(loss.parts, more);
    if (words.empty()) continue;
    out += (out.empty() ? "" : "; ") + std::string(more ? "more: " : "less: ") + words;
  }
  return out.empty() ? "the same times" : out;
}

std::string bytes_text(std::int64_t more) {
  if (more == 0) return "as much memory";
  return to_text(Bytes{std::abs(more)}) + (more > 0 ? " more memory" : " less memory");
}

std::string runner_up_text(const RunnerUpLoss& loss, const search::SearchResult& result,
                           std::size_t index) {
  const search::FoundPlan &other = result.runners_up[index], &best = *result.best;
  const bool same_batch = other.plan.global_batch == best.plan.global_batch;
  return fmt::format(
      "  {}\n    {}\n    {}\n", loss_line(loss, result, index),
      difference_text(loss) +
          (same_batch ? "" : fmt::format(" (in {} samples)", best.plan.global_batch)),
      plan::summarize(other.plan, other.layer_names));
}

std::string runners_up_text(const Explanation& explanation, const search::SearchResult& result) {
  if (result.runners_up.empty()) return "";
  std::string out = "runner-ups\n";
  for (std::size_t i = 0; i < result.runners_up.size(); ++i) {
    out += runner_up_text(explanation.losses[i], result, i);
  }
  return out;
}

OrderedJson parts_to_json(const std::vector<StepPart>& parts) {
  OrderedJson out = OrderedJson::array();
  for (const StepPart& one : parts) {
    out.push_back(
        {{"part", enum_text(one.part)}, {"links", enum_text(one.links)}, {"ms", one.time.value}});
  }
  return out;
}

OrderedJson prices_to_json(const std::vector<ShadowPrice>& prices) {
  OrderedJson out = OrderedJson::array();
  for (const ShadowPrice& price : prices) {
    const search::FoundPlan& found = price.found;
    out.push_back({{"change", price.change},
                   {"step_ms", found.cost.step_time.value},
                   {"global_batch", found.plan.global_batch},
                   {"gain", price.gain},
                   {"same_plan", price.same_plan},
                   {"peak_memory_bytes", found.cost.peak_memory().value},
                   {"layers", plan::summarize(found.plan, found.layer_names)}});
  }
  return out;
}

}  // namespace

std::string loss_line(const RunnerUpLoss& loss, const search::SearchResult& result,
                      std::size_t index) {
  const search::FoundPlan &other = result.runners_up[index], &best = *result.best;
  const bool same_batch = other.plan.global_batch == best.plan.global_batch;
  const std::string batch =
      same_batch ? "" : fmt::format(", global batch {}", other.plan.global_batch);
  const Milliseconds more = same_batch ? loss.more : Milliseconds{ms_per_sample(loss.more, best)};
  const std::string simulated =
      result.certificate.simulated == 0
          ? ""
          : ", simulated " + search::percent_more(other.simulated_ms_per_sample(),
                                                  best.simulated_ms_per_sample());
  return fmt::format("{}{} ({}{}): {} {} per {}, {}{}",
                     search::percent_more(other.ms_per_sample(), best.ms_per_sample()), simulated,
                     search::shape_text(other.plan), batch,
                     to_text(Milliseconds{std::abs(more.value)}), more.value < 0 ? "less" : "more",
                     same_batch ? "step" : "sample", bytes_text(loss.more_bytes),
                     slowest_rank_text(other));
}

std::vector<RunnerUpLoss> runner_up_losses(const PreparedSearch& prepared,
                                           const search::SearchResult& result) {
  std::vector<RunnerUpLoss> out;
  for (const search::FoundPlan& other : result.runners_up) {
    out.push_back(loss_of(prepared, other, *result.best));
  }
  return out;
}

Explanation explain(const PreparedSearch& prepared, const search::SearchResult& result) {
  const search::FoundPlan& best = *result.best;
  Explanation out;
  out.fullest_stage = fullest_stage(best.cost);
  out.parts = parts_of(prepared, best);
  std::stable_sort(out.parts.begin(), out.parts.end(),
                   [](const StepPart& a, const StepPart& b) { return a.time > b.time; });
  out.prices = shadow_prices(prepared, result.best_by_formula());
  out.losses = runner_up_losses(prepared, result);
  out.left_out = left_out(prepared);
  return out;
}

std::string what_binds(const Explanation& explanation) {
  std::vector<std::string> words;
  for (const ShadowPrice& price : explanation.prices) {
    if (price.gain >= kBinds) {
      words.push_back(fmt::format("{} gives {:+.1f} % samples/s", price.change, 100 * price.gain));
    }
  }
  if (words.empty())
    return "computing binds: neither more memory nor faster links would give 0.1 %";
  return fmt::format("{}", fmt::join(words, "; "));
}

std::string to_text(const Explanation& explanation, const search::SearchResult& result,
                    Bytes memory) {
  const search::FoundPlan& best = *result.best;
  std::string out = "what binds: " + what_binds(explanation) + "\n";
  out += memory_line(explanation, best, memory);
  out +=
      fmt::format("  time: {} a step{}\n", to_text(best.cost.step_time), slowest_rank_text(best));
  out += parts_table(explanation, best);
  out += "one thing better, searched again\n" + to_text(explanation.prices);
  out += runners_up_text(explanation, result);
  out += "certificate\n" + to_text(result.certificate);
  out += "what this space leaves out\n";
  for (const std::string& one : explanation.left_out) out += "  " + one + "\n";
  return out;
}

OrderedJson explanation_to_json(const Explanation& explanation) {
  OrderedJson losses = OrderedJson::array();
  for (const RunnerUpLoss& loss : explanation.losses) {
    losses.push_back({{"more_ms", loss.more.value},
                      {"more_bytes", loss.more_bytes},
                      {"parts", parts_to_json(loss.parts)}});
  }
  return {{"binds", what_binds(explanation)},
          {"fullest_stage", explanation.fullest_stage},
          {"step_parts", parts_to_json(explanation.parts)},
          {"shadow_prices", prices_to_json(explanation.prices)},
          {"runners_up", losses},
          {"left_out", explanation.left_out}};
}

}  // namespace galvatron::planning
