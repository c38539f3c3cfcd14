#include "galvatron/planning/plan_drawing.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/table.h"

namespace galvatron::planning {
namespace {

// The plan's strategies in the order of their first layers, and which one each layer has.
struct Palette {
  std::vector<plan::LayerStrategy> strategies;
  std::vector<std::size_t> of_layer;
};

Palette make_palette(const plan::Plan& plan) {
  Palette out;
  for (const plan::LayerStrategy& strategy : plan.layers) {
    const auto found = std::find(out.strategies.begin(), out.strategies.end(), strategy);
    out.of_layer.push_back(static_cast<std::size_t>(found - out.strategies.begin()));
    if (found == out.strategies.end()) out.strategies.push_back(strategy);
  }
  return out;
}

char letter(std::size_t strategy) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  return strategy < kLetters.size() ? kLetters[strategy] : '*';
}

std::string rank_range(int first, int count) {
  return count == 1 ? fmt::format("rank {}", first)
                    : fmt::format("ranks {}-{}", first, first + count - 1);
}

// "embedding, 12 x block": the layers of a strategy.
std::string layers_with(const plan::Plan& plan, const Palette& palette, std::size_t strategy,
                        const std::vector<std::string>& layer_names) {
  std::vector<std::string> out;
  for (const plan::LayerRun& run :
       layer_runs(plan, {0, static_cast<std::int64_t>(plan.layers.size())}, layer_names)) {
    if (palette.of_layer[static_cast<std::size_t>(run.layers.begin)] == strategy) {
      out.push_back(run.name);
    }
  }
  return fmt::format("{}", fmt::join(out, ", "));
}

// {0 2 4 6}, of long ones the beginning and the end.
std::string set_text(std::span<const int> ranks) {
  constexpr std::size_t kMost = 8;
  if (ranks.size() <= kMost) return fmt::format("{{{}}}", fmt::join(ranks, " "));
  return fmt::format("{{{} .. {}}}", fmt::join(ranks.first(3), " "), ranks.back());
}

// Rows of one strategy on the first pipeline rank.
class GroupRows {
 public:
  GroupRows(TextTable& table, const plan::RankLayout& layout, char name)
      : table_(table), layout_(layout), name_(name) {}

  void add_all() {
    const plan::LayerStrategy& strategy = layout_.strategy();
    add("tensor parallel", layout_.tp_line(), [&](int rank) { return layout_.tp_ranks(rank); });
    add("Ulysses", layout_.ulysses_line(), [&](int rank) { return layout_.ulysses_ranks(rank); });
    const plan::RankLine replicas = layout_.replica_line(true);
    const auto ranks_of_replica = [&](int rank) { return layout_.replica_ranks(rank, true); };
    add("same parameters", replicas, ranks_of_replica);
    if (strategy.shard_degree == 0) return;
    add("sharded over", {strategy.shard_degree, replicas.stride}, [&](int rank) {
      const plan::RankSet all = ranks_of_replica(rank);
      const auto place = std::find(all.begin(), all.end(), rank) - all.begin();
      const auto first = all.begin() + place / strategy.shard_degree * strategy.shard_degree;
      return plan::RankSet(first, first + strategy.shard_degree);
    });
  }

 private:
  template <class RanksOf>
  void add(const char* what, const plan::RankLine& line, RanksOf ranks_of_group) {
    if (line.size == 1) return;
    constexpr int kShown = 3;
    std::vector<std::string> sets;
    for (int rank = 0; rank < layout_.ranks_per_stage() && sets.size() < kShown; ++rank) {
      const plan::RankSet ranks = ranks_of_group(rank);
      if (ranks.front() == rank) sets.push_back(set_text(ranks));
    }
    const int count = layout_.ranks_per_stage() / line.size;
    const char* more = count > kShown ? " .." : "";
    table_.add_row({std::string(1, name_), what, std::to_string(count), std::to_string(line.size),
                    fmt::format("{}{}", fmt::join(sets, " "), more)});
  }

  TextTable& table_;
  const plan::RankLayout& layout_;
  char name_;
};

char symbol(const cost::TimelineEvent& event) {
  const auto digit = static_cast<char>(event.microbatch % 10);
  switch (event.kind) {
    case cost::EventKind::kForward:
      return static_cast<char>('0' + digit);
    case cost::EventKind::kBackward:
      return static_cast<char>('a' + digit);
    case cost::EventKind::kWeightGradient:
      return 'w';
    case cost::EventKind::kTie:
    case cost::EventKind::kGradientSync:
      return '-';
    case cost::EventKind::kUpdate:
    case cost::EventKind::kParameterGather:
      return '=';
    case cost::EventKind::kTransfer:
    case cost::EventKind::kGather:
    case cost::EventKind::kReduce:
      break;  // beside the computing
  }
  return 0;
}

// The length of the median forward: it gets a column.
double column_ms(const cost::Timeline& timeline) {
  std::vector<double> lengths;
  for (const cost::TimelineEvent& event : timeline.events) {
    const double length = (event.end - event.start).value;
    if (event.kind == cost::EventKind::kForward && length > 0) lengths.push_back(length);
  }
  if (lengths.empty()) return timeline.total.value;
  const auto middle = lengths.begin() + static_cast<std::ptrdiff_t>(lengths.size() / 2);
  std::nth_element(lengths.begin(), middle, lengths.end());
  return *middle;
}

// What each rank does at the middle of each of `columns` columns from `begin` on.
std::vector<std::string> sample(const cost::Timeline& timeline, double begin, double column,
                                int columns) {
  std::vector<std::string> rows(timeline.busy.size(),
                                std::string(static_cast<std::size_t>(columns), '.'));
  for (const cost::TimelineEvent& event : timeline.events) {
    const char shown = symbol(event);
    if (shown == 0) continue;
    const auto at = [&](Milliseconds time) {
      const double place = std::ceil((time.value - begin) / column - 0.5);
      return static_cast<std::size_t>(std::clamp(place, 0.0, static_cast<double>(columns)));
    };
    std::string& row = rows[static_cast<std::size_t>(event.stage) % rows.size()];  // its rank's
    for (std::size_t i = at(event.start); i < at(event.end); ++i) row[i] = shown;
  }
  return rows;
}

}  // namespace

std::string draw_stages(const plan::Plan& plan, const std::vector<std::string>& layer_names,
                        int width) {
  const Palette palette = make_palette(plan);
  std::string out;
  for (int stage = 0; stage < plan.pipeline.num_stages(); ++stage) {
    const int pp_rank = plan.pipeline.pp_rank_of_stage(stage);
    const std::string head =
        fmt::format("  stage {:<3} {:<15} ", stage,
                    rank_range(pp_rank * plan.ranks_per_stage(), plan.ranks_per_stage()));
    const auto room = static_cast<std::int64_t>(width) - static_cast<std::int64_t>(head.size());
    const Range layers = plan.layers_of_stage(stage);
    out += head;
    for (std::int64_t i = layers.begin; i < layers.end; ++i) {
      const bool full =
          i > layers.begin && (i - layers.begin) % std::max<std::int64_t>(room, 20) == 0;
      if (full) out += "\n" + std::string(head.size(), ' ');
      out += letter(palette.of_layer[static_cast<std::size_t>(i)]);
    }
    out += "\n";
  }
  TextTable table({"", "strategy", "dp", "layers"});
  table.align(1, TextTable::Align::kLeft);
  table.align(3, TextTable::Align::kLeft);
  for (std::size_t i = 0; i < palette.strategies.size(); ++i) {
    const plan::RankLayout layout{palette.strategies[i], plan.ranks_per_stage()};
    table.add_row({std::string(1, letter(i)), to_text(palette.strategies[i]),
                   std::to_string(layout.dp_degree()), layers_with(plan, palette, i, layer_names)});
  }
  return out + table.to_string();
}

std::string group_table(const plan::Plan& plan) {
  TextTable table({"", "groups", "number", "ranks", "first ones"});
  table.align(1, TextTable::Align::kLeft);
  table.align(4, TextTable::Align::kLeft);
  const Palette palette = make_palette(plan);
  for (std::size_t i = 0; i < palette.strategies.size(); ++i) {
    const plan::RankLayout layout{palette.strategies[i], plan.ranks_per_stage()};
    GroupRows(table, layout, letter(i)).add_all();
  }
  const int degree = plan.pipeline.degree;
  if (degree > 1) {
    const plan::RankSet line = plan::ranks_of(0, {degree, plan.ranks_per_stage()});
    table.add_row({"", "pipeline", std::to_string(plan.ranks_per_stage()), std::to_string(degree),
                   set_text(line) + (plan.ranks_per_stage() > 1 ? " .." : "")});
  }
  return table.to_string();
}

std::string draw_timeline(const cost::Timeline& timeline, int width) {
  constexpr int kHead = 14, kLeastColumns = 20;
  const int room = std::max(width - kHead, kLeastColumns);
  const double column = column_ms(timeline), total = timeline.total.value;
  if (total <= 0) return "";
  const bool whole = total <= column * room;
  std::vector<std::string> rows;
  if (whole) {
    rows = sample(timeline, 0, column, static_cast<int>(std::ceil(total / column)));
  } else {
    const int half = (room - 3) / 2;
    rows = sample(timeline, 0, column, half);
    const auto last = sample(timeline, total - column * half, column, half);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] += " ~ " + last[i];
  }
  std::string out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out += fmt::format("  pp rank {:<4}{}\n", i, rows[i]);
  return out;
}

cost::Timeline ideal_timeline(const plan::Plan& plan) {
  std::vector<cost::StageTimes> stages;
  for (int stage = 0; stage < plan.pipeline.num_stages(); ++stage) {
    const auto layers = static_cast<double>(plan.layers_of_stage(stage).size());
    cost::StageTimes& times = stages.emplace_back();
    times.forward = {{layers}};
    times.backward = {{2 * layers}};
  }
  return cost::simulate(plan.pipeline.schedule, plan.num_microbatches, stages,
                        plan.pipeline.stages_per_rank());
}

std::string draw_plan(const plan::Plan& plan, const std::vector<std::string>& layer_names,
                      const cost::Timeline& timeline, const std::string& scale, int width) {
  return draw_stages(plan, layer_names, width) + "\n" + group_table(plan) +
         fmt::format("\n  schedule {}, {}, {}\n", to_text(plan.pipeline.schedule),
                     count_text(plan.num_microbatches, "microbatch"), scale) +
         draw_timeline(timeline, width);
}

std::string draw_plan(const plan::Plan& plan, const std::vector<std::string>& layer_names,
                      int width) {
  return draw_plan(plan, layer_names, ideal_timeline(plan),
                   "if layers take the same time and transfers none", width);
}

}  // namespace galvatron::planning
