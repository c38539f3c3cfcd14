// A frontier in words, as table, JSON and picture.
#include <algorithm>

#include <fmt/format.h>

#include "galvatron/planning/answer.h"
#include "galvatron/planning/answer_cells.h"
#include "galvatron/planning/frontier.h"
#include "galvatron/search/report.h"
#include "galvatron/search/solvers/tolerance.h"

namespace galvatron::planning {
namespace {

double in_gib(Bytes bytes) {
  return static_cast<double>(bytes.value) / static_cast<double>(gibibytes(1).value);
}
// Steps can lie closer together than three digits tell.
std::string gib_text(Bytes bytes) { return fmt::format("{:.2f} GiB", in_gib(bytes)); }

const plan::Plan& plan_of(const FrontierStep& step) { return step.result.best->plan; }

// Times of steps can be compared; else only those of samples can.
bool has_one_batch(const Frontier& frontier) {
  return std::all_of(frontier.steps.begin(), frontier.steps.end(), [&](const FrontierStep& step) {
    return plan_of(step).global_batch == plan_of(frontier.steps.front()).global_batch;
  });
}

Milliseconds time_of(const Frontier& frontier, const FrontierStep& step) {
  if (has_one_batch(frontier)) return step.result.best->cost.step_time;
  return {step.ms_per_sample};
}

std::string time_text(const Frontier& frontier, const FrontierStep& step) {
  return to_text(time_of(frontier, step)) + (has_one_batch(frontier) ? "" : " per sample");
}

ChartPoint corner(const Frontier& frontier, const FrontierStep& step, Bytes at) {
  return {in_gib(at), time_of(frontier, step).value / 1000, ""};
}

// How much slower than in the memory that was asked about.
ResultCell compared(const Frontier& frontier, const FrontierStep& step) {
  const auto here = frontier.step_at(frontier.asked);
  if (!here) return {};
  const double more = step.ms_per_sample / frontier.steps[*here].ms_per_sample - 1;
  return {more, fmt::format("{:+.2f} %", 100 * more)};
}

// Steps that touch are one line; what lies between others is a dashed one.
std::vector<ChartLine> lines_of(const Frontier& frontier) {
  std::vector<ChartLine> lines = {{"best plan", {}}, {"between searches", {}, true}};
  std::size_t open = 0;
  for (std::size_t i = 0; i < frontier.steps.size(); ++i) {
    const FrontierStep& step = frontier.steps[i];
    ChartPoint first = corner(frontier, step, step.from);
    if (i > 0 && !frontier.touches_next(i - 1)) {
      const ChartPoint last = lines[open].points.back();
      if (!lines[1].points.empty()) lines.push_back({"", {}, true});
      (lines[1].points.empty() ? lines[1] : lines.back()).points = {last, first};
      open = lines.size();
      lines.push_back({});
    }
    first.note = fmt::format("from {}: {}\n{}", gib_text(step.from), time_text(frontier, step),
                             plan_line(*step.result.best));
    lines[open].points.push_back(first);
    lines[open].points.push_back(corner(frontier, step, step.to));
  }
  std::erase_if(lines, [](const ChartLine& line) { return line.points.empty(); });
  return lines;
}

// The largest steps first: where words have no room, the least is lost.
std::vector<ChartLabel> labels_of(const Frontier& frontier) {
  std::vector<std::pair<double, std::size_t>> order = {{-search::kInfinity, 0}};
  for (std::size_t i = 1; i < frontier.steps.size(); ++i) {
    const auto time = [&](std::size_t step) { return frontier.steps[step].ms_per_sample; };
    order.emplace_back(-time(i - 1) / time(i), i);
  }
  std::sort(order.begin(), order.end());
  std::vector<ChartLabel> labels;
  for (const auto& [gain, i] : order) {
    const FrontierStep& step = frontier.steps[i];
    const ChartPoint at = corner(frontier, step, step.from);
    labels.push_back({at.x, at.y, brief_plan(*step.result.best)});
  }
  return labels;
}

std::string least_text(const Frontier& frontier) {
  const Bytes least = frontier.steps.front().from;
  if (frontier.least_is_exact) {
    return fmt::format("nothing fits in less than {} ({} bytes)\n", gib_text(least), least.value);
  }
  return fmt::format("nothing fits in {} ({} bytes); between that and {} no search was made\n",
                     gib_text(frontier.too_little), frontier.too_little.value, gib_text(least));
}

std::string title_of(const Question& question, const Frontier& frontier) {
  const plan::Plan& plan = plan_of(frontier.steps.front());
  return fmt::format("{} on {} ranks, {}{} tokens, {}", question.model.name, plan.world_size,
                     has_one_batch(frontier) ? fmt::format("batch {} x ", plan.global_batch) : "",
                     question.job.seq_length, spec::to_text(question.job.precision));
}

}  // namespace

ResultTable frontier_table(const Frontier& frontier, const Question& question) {
  const bool one_batch = has_one_batch(frontier);
  std::vector<ResultColumn> columns = {{"from_bytes", "from"},
                                       {"to_bytes", ""},
                                       {"ms_per_sample", one_batch ? "" : "a sample"},
                                       {"global_batch", one_batch ? "" : "batch"},
                                       {"off_by", "off by"},
                                       {"compared", "compared"}};
  auto answer = answer_columns();
  for (ResultColumn& column : answer) {
    if (column.key == "peak_memory_bytes") column.head.clear();  // people read `from`
  }
  columns.insert(columns.end(), answer.begin(), answer.end());
  ResultTable table(columns);
  for (std::size_t i = 0; i < frontier.steps.size(); ++i) {
    const FrontierStep& step = frontier.steps[i];
    const double off = frontier.off_by(i);
    std::vector<ResultCell> cells = {
        {step.from.value, gib_text(step.from)},
        {step.to.value, ""},
        {step.ms_per_sample, to_text(time_of(frontier, step))},
        {plan_of(step).global_batch, std::to_string(plan_of(step).global_batch)},
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
  const FrontierStep& most = frontier.unlimited ? *frontier.unlimited : frontier.steps.back();
  std::string out = least_text(frontier);
  out += fmt::format("more than {} gains nothing: {}\n", gib_text(most.from),
                     time_text(frontier, most));
  const std::string searches = fmt::format("{} searches", frontier.num_searches);
  if (frontier.is_complete()) {
    out += fmt::format("complete: the plan changes at no other budget up to {} ({})\n",
                       gib_text(frontier.end), searches);
  } else {
    out += fmt::format("between rows it changes further ({}; --budgets {} looks closer)\n",
                       searches, 4 * frontier.num_searches);
  }
  return out +
         "off by: how much slower than the best plan it is, at most, in any memory up to the "
         "next row\n";
}

OrderedJson frontier_to_json(const Frontier& frontier, const Question& question) {
  OrderedJson out = {
      {"question", question_to_json(question, plan_of(frontier.steps.back()).global_batch)},
      {"end_bytes", frontier.end.value},
      {"too_little_bytes", frontier.too_little.value},
      {"least_is_exact", frontier.least_is_exact},
      {"simplicity", frontier.simplicity},
      {"num_searches", frontier.num_searches},
      {"complete", frontier.is_complete()},
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
  const FrontierStep &first = frontier.steps.front(), &last = frontier.steps.back();
  chart.description = fmt::format("Time over the memory of one device: {} in {}, {} in {}.",
                                  time_text(frontier, first), gib_text(first.from),
                                  time_text(frontier, last), gib_text(frontier.end));
  chart.x_title = "memory of one device, GiB";
  chart.y_title = has_one_batch(frontier) ? "step time, s" : "time per sample, s";
  chart.lines = lines_of(frontier);
  chart.labels = labels_of(frontier);
  chart.marks = {{in_gib(frontier.asked), "asked: " + gib_text(frontier.asked)}};
  return chart;
}

}  // namespace galvatron::planning
