#include "galvatron/galvatron2/report.h"

#include <algorithm>

#include <fmt/format.h>

#include "galvatron/base/table.h"
#include "galvatron/search/report.h"

namespace galvatron::galvatron2 {
namespace {

std::string plan_rows(const Plan& plan) {
  TextTable table({"stage", "layers", "strategy", "dp"});
  table.align(2, TextTable::Align::kLeft);
  const std::string vocabulary = to_text(plan.vocabulary);
  table.add_row(
      {"", "embedding, head", vocabulary, std::to_string(plan.dp_degree(plan.vocabulary))});
  std::size_t begin = 0;
  for (int stage = 0; stage < plan.pp_degree; ++stage) {
    const std::size_t end =
        begin + static_cast<std::size_t>(plan.layers_per_stage[static_cast<std::size_t>(stage)]);
    while (begin < end) {
      std::size_t run = begin;
      while (run < end && plan.layers[run] == plan.layers[begin]) ++run;
      table.add_row({std::to_string(stage), fmt::format("{} x block", run - begin),
                     to_text(plan.layers[begin]),
                     std::to_string(plan.dp_degree(plan.layers[begin]))});
      begin = run;
    }
  }
  return table.to_string();
}

}  // namespace

std::string to_text(const Found& found, Bytes budget) {
  const Plan& plan = found.plan;
  std::string out = plan_rows(plan) + "\n";
  TextTable table({"stage", "layers", "memory", "of its limit"});
  table.align(3, TextTable::Align::kLeft);
  const double limit = limit_mb(budget);
  for (std::size_t stage = 0; stage < found.score.stage_mb.size(); ++stage) {
    const double mb = found.score.stage_mb[stage];
    table.add_row({std::to_string(stage), std::to_string(plan.layers_per_stage[stage]),
                   fmt::format("{:.0f} MiB", mb),
                   text_bar(mb / limit, 12) + fmt::format(" {:.0f} %", 100 * mb / limit)});
  }
  out += table.to_string();
  return out +
         fmt::format(
             "  predicted step {} ({:.6g} samples/s) in {} microbatches; {} changes of layout "
             "between layers\n",
             to_text(Milliseconds{found.score.step_ms}), found.score.samples_per_second,
             plan.num_microbatches, count_transitions(plan));
}

std::string explain(const SearchResult& result) {
  std::string out = "certificate\n" + search::to_text(result.certificate);
  if (!result.best || result.runners_up.empty()) return out;
  out += "runner-ups\n";
  for (const Found& other : result.runners_up) {
    out += fmt::format(
        "  {:.6g} samples/s ({}): {} stages, {} microbatches, global batch {}\n",
        other.score.samples_per_second,
        search::percent_more(other.score.samples_per_second, result.best->score.samples_per_second),
        other.plan.pp_degree, other.plan.num_microbatches, other.plan.global_batch);
  }
  return out;
}

std::string to_text(const Miss& miss, Bytes budget) {
  return fmt::format(
      "nothing fits in {}: the leanest plan needs {} ({} stages, {} microbatches, global batch {})",
      to_text(budget), to_text(miss.budget_needed), miss.shape.pp_degree,
      miss.shape.num_microbatches, miss.shape.global_batch);
}

}  // namespace galvatron::galvatron2
