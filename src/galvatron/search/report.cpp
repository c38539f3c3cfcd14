#include "galvatron/search/report.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "galvatron/base/table.h"

namespace galvatron::search {
namespace {

// Columns of a strategy: its fields, the data-parallel degree behind those that split the sequence.
template <class Visitor, class AddDp>
void for_each_column(Visitor&& visit, AddDp&& add_dp) {
  bool splitting = true;
  plan::for_each_supported_field([&](const auto& field) {
    if (!field.splits_sequence && !field.joins_previous() && std::exchange(splitting, false)) {
      add_dp();
    }
    visit(field);
  });
}

std::vector<std::string> strategy_heads() {
  std::vector<std::string> out;
  for_each_column(
      [&](const auto& field) {
        if (!field.joins_previous()) out.emplace_back(field.label);
      },
      [&] { out.emplace_back("dp"); });
  return out;
}

// "-" where a degree or a choice is the plain one.
std::vector<std::string> strategy_cells(const plan::LayerStrategy& strategy, int dp_degree) {
  std::vector<std::string> out;
  for_each_column(
      [&](const auto& field) {
        const auto value = strategy.*field.member;
        const bool plain = value == field.standard();
        if (field.joins_previous()) {
          if (!plain) out.back() += field.word;
          return;
        }
        const bool counts_from_0 = field.kIsNumber && field.least == 0;
        out.push_back(plain && !counts_from_0 ? "-" : plan::value_text(value));
      },
      [&] { out.push_back(std::to_string(dp_degree)); });
  return out;
}

}  // namespace

std::string percent_more(double part, double whole) {
  return fmt::format("{:+.2f} %", 100 * (part / whole - 1));
}

std::string shape_text(const plan::Plan& plan) {
  const plan::Pipeline& pipeline = plan.pipeline;
  const std::string ranks = pipeline.stages_per_rank() == 1
                                ? ""
                                : fmt::format(" interleaved on {} pipeline ranks", pipeline.degree);
  return count_text(pipeline.num_stages(), "stage") + ranks + ", " +
         count_text(plan.num_microbatches, "microbatch");
}

PlanRows plan_rows(const plan::Plan& plan, const std::vector<std::string>& layer_names) {
  PlanRows out{strategy_heads(), {}};
  out.heads.insert(out.heads.begin(), {"stage", "layers"});
  for (int stage = 0; stage < plan.pipeline.num_stages(); ++stage) {
    for (const plan::LayerRun& run : layer_runs(plan, plan.layers_of_stage(stage), layer_names)) {
      const auto first = static_cast<int>(run.layers.begin);
      std::vector<std::string>& row = out.rows.emplace_back(
          strategy_cells(plan.layers[static_cast<std::size_t>(first)], plan.dp_degree(first)));
      row.insert(row.begin(), {std::to_string(stage), run.name});
    }
  }
  return out;
}

std::string plan_table(const FoundPlan& found) {
  const PlanRows rows = plan_rows(found.plan, found.layer_names);
  TextTable table(rows.heads);
  table.align(1, TextTable::Align::kLeft);
  const auto& all = rows.rows;
  const bool many = found.plan.pipeline.num_stages() > cost::kStagesOneByOne;
  const auto is_alone = [&](std::size_t i) {
    return (i == 0 || all[i - 1][0] != all[i][0]) &&
           (i + 1 == all.size() || all[i + 1][0] != all[i][0]);
  };
  const auto is_like_next = [&](std::size_t i) {
    return i + 1 < all.size() && is_alone(i) && is_alone(i + 1) &&
           std::equal(all[i].begin() + 1, all[i].end(), all[i + 1].begin() + 1);
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::vector<std::string> row = all[i];
    while (many && is_like_next(i)) ++i;
    if (row[0] != all[i][0]) row[0] += "-" + all[i][0];
    table.add_row(row);
  }
  return table.to_string();
}

std::string to_text(const FoundPlan& found, Bytes budget) {
  return plan_table(found) + "\n" + cost::plan_cost_table(found.cost, found.plan, budget);
}

std::string to_text(const ClosestMiss& miss, Bytes budget) {
  return fmt::format(
      "nothing fits in {}: the leanest plan needs {} ({} bytes) on its fullest device ({} "
      "stages, {} microbatches, global batch {})",
      to_text(budget), to_text(miss.needed), miss.needed.value, miss.pp_degree,
      miss.num_microbatches, miss.global_batch);
}

std::string no_plan_text(const SearchResult& result, Bytes budget) {
  if (result.closest_miss) return to_text(*result.closest_miss, budget);
  return fmt::format(
      "no plan was found: the search was ended by {}; none is faster than {} per sample, and "
      "whether any fits in {} is not known. Give it more time, or forbid a part of the space",
      result.certificate.ended_by, to_text(Milliseconds{result.certificate.lower_bound}),
      to_text(budget));
}

OrderedJson search_to_json(const SearchResult& result, Bytes budget) {
  OrderedJson out = cost::prediction_to_json(result.best->cost, budget);
  const Certificate& certificate = result.certificate;
  out["certificate"] = {{"ms_per_sample", certificate.value},
                        {"lower_bound_ms_per_sample", certificate.lower_bound},
                        {"gap", certificate.gap()},
                        {"candidates", certificate.candidates},
                        {"infeasible", certificate.infeasible},
                        {"pruned", certificate.pruned},
                        {"solved", certificate.solved},
                        {"interleaved", certificate.interleaved},
                        {"interleaved_opened", certificate.interleaved_opened},
                        {"interleaved_given_up", certificate.interleaved_given_up},
                        {"runs", certificate.runs},
                        {"runs_before", certificate.runs_before},
                        {"simplicity_cost", certificate.simplicity_cost}};
  if (!certificate.ended_by.empty()) out["certificate"]["ended_by"] = certificate.ended_by;
  out["runners_up"] = OrderedJson::array();
  for (const FoundPlan& other : result.runners_up) {
    out["runners_up"].push_back({{"ms_per_sample", other.ms_per_sample()},
                                 {"pp_degree", other.plan.pipeline.degree},
                                 {"schedule", plan::to_text(other.plan.pipeline.schedule)},
                                 {"num_microbatches", other.plan.num_microbatches},
                                 {"layers", plan::summarize(other.plan, other.layer_names)}});
  }
  return out;
}

}  // namespace galvatron::search
