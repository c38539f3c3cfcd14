// A frontier in words, as table, JSON and picture.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "galvatron/planning/answer.h"
#include "galvatron/planning/answer_cells.h"
#include "galvatron/planning/frontier.h"
#include "galvatron/search/report.h"

namespace galvatron::planning {
namespace {

double in_gib(Bytes bytes) {
  return static_cast<double>(bytes.value) / static_cast<double>(gibibytes(1).value);
}
// Steps can lie closer together than three digits tell.
std::string gib_text(Bytes bytes) { return fmt::format("{:.2f} GiB", in_gib(bytes)); }

std::string time_text(const Frontier& frontier, const FrontierStep& step) {
  const bool one_batch =
      std::all_of(frontier.steps.begin(), frontier.steps.end(), [&](const FrontierStep& other) {
        return other.result.best->plan.global_batch == step.result.best->plan.global_batch;
      });
  if (one_batch) return to_text(step.result.best->cost.step_time);
  return to_text(Milliseconds{step.ms_per_sample()}) + " per sample";
}

// How much slower than in the memory that was asked about.
ResultCell compared(const Frontier& frontier, const FrontierStep& step) {
  const auto here = frontier.step_at(frontier.asked);
  if (!here) return {};
  const double more = step.ms_per_sample() / frontier.steps[*here].ms_per_sample() - 1;
  return {more, fmt::format("{:+.2f} %", 100 * more)};
}

void add_range(const Frontier& frontier, std::vector<ChartLine>& lines) {
  ChartLine known, between;
  known.name = "best plan";
  between.name = "between searches";
  between.dashed = true;
  for (std::size_t i = 0; i < frontier.steps.size(); ++i) {
    const FrontierStep& step = frontier.steps[i];
    const double time = step.result.best->cost.step_time.value / 1000;
    const bool touches = i > 0 && frontier.steps[i - 1].to + Bytes{1} == step.from;
    if (i > 0 && !touches) {
      lines.push_back(known);
      known.name.clear();
      between.points = {known.points.back(), {in_gib(step.from), time, ""}};
      between.points.front().note.clear();
      lines.push_back(between);
      between.name.clear();
      known.points.clear();
    }
    known.points.push_back(
        {in_gib(step.from), time,
         fmt::format("from {}: {}\n{}", gib_text(step.from),
                     to_text(step.result.best->cost.step_time), plan_line(*step.result.best))});
    known.points.push_back({in_gib(step.to), time, ""});
  }
  lines.push_back(std::move(known));
}

// The largest steps first: where words have no room, the least is lost.
void add_labels(const Frontier& frontier, std::vector<ChartLabel>& labels) {
  std::vector<std::pair<double, std::size_t>> order;
  for (std::size_t i = 0; i < frontier.steps.size(); ++i) {
    const double gain =
        i == 0 ? 1e9 : frontier.steps[i - 1].ms_per_sample() / frontier.steps[i].ms_per_sample();
    order.emplace_back(-gain, i);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [gain, i] : order) {
    const FrontierStep& step = frontier.steps[i];
    labels.push_back({in_gib(step.from), step.result.best->cost.step_time.value / 1000,
                      brief_plan(*step.result.best)});
  }
}

std::string title_of(const Question& question, const Frontier& frontier) {
  const plan::Plan& plan = frontier.steps.front().result.best->plan;
  return fmt::format("{} on {} ranks, global batch {}, {} tokens, {}", question.model.name,
                     plan.world_size, plan.global_batch, question.job.seq_length,
                     spec::to_text(question.job.precision));
}

}  // namespace

ResultTable frontier_table(const Frontier& frontier, const Question& question) {
  std::vector<ResultColumn> columns = {{"from_bytes", "from"}, {"to_bytes", ""},
                                       {"ms_per_sample", ""},  {"global_batch", ""},
                                       {"off_by", "off by"},   {"compared", "compared"}};
  auto answer = answer_columns();
  for (ResultColumn& column : answer) {
    if (column.key == "peak_memory_bytes") column.head.clear();  // people read `from`
  }
  columns.insert(columns.end(), answer.begin(), answer.end());
  ResultTable table(columns);
  for (std::size_t i = 0; i < frontier.steps.size(); ++i) {
    const FrontierStep& step = frontier.steps[i];
    const double off = frontier.off_by(i);
    std::vector<ResultCell> cells = {{step.from.value, gib_text(step.from)},
                                     {step.to.value, ""},
                                     {step.ms_per_sample(), ""},
                                     {step.result.best->plan.global_batch, ""},
                                     {off, off == 0 ? "-" : fmt::format("{:.2f} %", 100 * off)},
                                     compared(frontier, step)};
    const auto found = answer_cells(question, step.result, step.to);
    cells.insert(cells.end(), found.begin(), found.end());
    table.add_row(std::move(cells));
  }
  return table;
}

std::string frontier_notes(const Frontier& frontier) {
  if (frontier.steps.empty()) return to_text(*frontier.closest_miss, frontier.end) + "\n";
  const Bytes least = frontier.steps.front().from;
  std::string out =
      frontier.least_is_exact
          ? fmt::format("nothing fits in less than {} ({} bytes)\n", gib_text(least), least.value)
          : fmt::format(
                "nothing fits in {} ({} bytes); between that and {} no search "
                "was made\n",
                gib_text(frontier.too_little), frontier.too_little.value, gib_text(least));
  const FrontierStep& most = frontier.unlimited ? *frontier.unlimited : frontier.steps.back();
  out += fmt::format("more than {} gains nothing: {}\n", gib_text(most.from),
                     time_text(frontier, most));
  if (frontier.unknown() == 0) {
    return out + fmt::format(
                     "complete: the best plan changes at no other budget up to {} ({} "
                     "searches)\n",
                     gib_text(frontier.end), frontier.num_searches);
  }
  return out + fmt::format(
                   "a row's plan is the best one in the memory it is from; up to the next row it "
                   "is off the best one by at most `off by` ({} searches; --budgets {} looks "
                   "closer)\n",
                   frontier.num_searches, 4 * frontier.num_searches);
}

OrderedJson frontier_to_json(const Frontier& frontier, const Question& question) {
  const plan::Plan& last = frontier.steps.back().result.best->plan;
  OrderedJson out = {{"question", question_to_json(question, last.global_batch)},
                     {"end_bytes", frontier.end.value},
                     {"too_little_bytes", frontier.too_little.value},
                     {"least_is_exact", frontier.least_is_exact},
                     {"num_searches", frontier.num_searches},
                     {"unknown", frontier.unknown()},
                     {"steps", frontier_table(frontier, question).to_json()}};
  if (frontier.unlimited) {
    out["unlimited"] = {{"from_bytes", frontier.unlimited->from.value},
                        {"step_ms", frontier.unlimited->result.best->cost.step_time.value}};
  }
  return out;
}

Chart frontier_chart(const Frontier& frontier, const Question& question) {
  Chart chart;
  chart.title = title_of(question, frontier);
  chart.description = fmt::format("Step time over the memory of one device: {} in {}, {} in {}.",
                                  to_text(frontier.steps.front().result.best->cost.step_time),
                                  gib_text(frontier.steps.front().from),
                                  to_text(frontier.steps.back().result.best->cost.step_time),
                                  gib_text(frontier.end));
  chart.x_title = "memory of one device, GiB";
  chart.y_title = "step time, s";
  add_range(frontier, chart.lines);
  add_labels(frontier, chart.labels);
  chart.marks = {{in_gib(frontier.asked), "asked: " + gib_text(frontier.asked)}};
  return chart;
}

}  // namespace galvatron::planning
