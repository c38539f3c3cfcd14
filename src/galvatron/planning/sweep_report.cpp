// A sweep as table, JSON and picture.
#include <algorithm>
#include <functional>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/planning/answer_cells.h"
#include "galvatron/planning/sweep.h"

namespace galvatron::planning {
namespace {

struct Coordinate {
  ResultColumn column;
  const char* unit;  // behind the value in words
  std::function<ResultCell(const SweepRow&)> cell;
};

// Empty where a combination cannot be and nobody asked for a value.
ResultCell number_cell(std::int64_t value) {
  if (value == 0) return {};
  return {value, std::to_string(value)};
}
ResultCell memory_cell(Bytes memory) {
  if (memory.value == 0) return {};
  return {memory.value, to_text(memory)};
}

const std::vector<Coordinate>& coordinates() {
  using Row = SweepRow;
  static const std::vector<Coordinate> all = {
      {{"model", "model", true},
       "",
       [](const Row& row) { return ResultCell{row.model, row.model}; }},
      {{"cluster", "cluster", true},
       "",
       [](const Row& row) { return ResultCell{row.cluster, row.cluster}; }},
      {{"world_size", "ranks"},
       " ranks",
       [](const Row& row) { return number_cell(row.world_size); }},
      {{"seq_length", "tokens"},
       " tokens",
       [](const Row& row) { return number_cell(row.seq_length); }},
      {{"global_batch", "batch"},
       " samples a step",
       [](const Row& row) { return number_cell(row.global_batch); }},
      {{"memory_bytes", "memory"}, "", [](const Row& row) { return memory_cell(row.memory); }}};
  return all;
}

std::vector<std::string> values_of(const Coordinate& coordinate,
                                   const std::vector<SweepRow>& rows) {
  std::vector<std::string> out;
  for (const SweepRow& row : rows) {
    const std::string text = coordinate.cell(row).text;
    if (!text.empty() && std::find(out.begin(), out.end(), text) == out.end()) out.push_back(text);
  }
  return out;
}

std::vector<const Coordinate*> swept(const std::vector<SweepRow>& rows) {
  std::vector<const Coordinate*> out;
  for (const Coordinate& one : coordinates()) {
    if (values_of(one, rows).size() > 1) out.push_back(&one);
  }
  return out;
}

// Those that do not follow from the ones before them, as a device's memory follows from the
// cluster.
std::vector<const Coordinate*> chosen(const std::vector<SweepRow>& rows) {
  std::vector<const Coordinate*> out;
  for (const Coordinate& one : coordinates()) {
    std::map<std::string, std::string> known;  // by the values of those before it
    const bool follows = std::all_of(rows.begin(), rows.end(), [&](const SweepRow& row) {
      std::string before;
      for (const Coordinate* other = &coordinates().front(); other != &one; ++other) {
        before += other->cell(row).text + '\n';
      }
      const std::string text = one.cell(row).text;
      return text.empty() || known.try_emplace(before, text).first->second == text;
    });
    if (!follows) out.push_back(&one);
  }
  return out;
}

// The one of most values, of equal ones the last.
const Coordinate* longest(const std::vector<const Coordinate*>& some,
                          const std::vector<SweepRow>& rows) {
  const Coordinate* out = &coordinates().front();
  std::size_t most = 0;
  for (const Coordinate* one : some) {
    const std::size_t values = values_of(*one, rows).size();
    if (values >= most) out = one;
    most = std::max(most, values);
  }
  return out;
}

// What tells the lines of a picture apart: all that is chosen but what runs along it.
std::string line_name(const SweepRow& row, const std::vector<const Coordinate*>& others) {
  std::string out;
  for (const Coordinate* one : others) {
    out += (out.empty() ? "" : ", ") + one->cell(row).text + one->unit;
  }
  return out;
}

// Points in the order of the rows; what does not fit interrupts its line.
void add_point(const SweepRow& row, double x, const std::string& name, int color,
               std::vector<ChartLine>& lines, std::map<std::string, std::size_t>& open) {
  if (!row.result.best) {
    open.erase(name);
    return;
  }
  const search::FoundPlan& found = *row.result.best;
  const auto [at, is_new] = open.try_emplace(name, lines.size());
  if (is_new) {
    const bool again = std::any_of(lines.begin(), lines.end(),
                                   [&](const ChartLine& line) { return line.color == color; });
    lines.emplace_back();
    lines.back().name = again ? "" : name;
    lines.back().color = color;
  }
  lines[at->second].points.push_back(
      {x, found.cost.tokens_per_second,
       fmt::format("{}\n{:.0f} tokens/s, {}\n{}", name, found.cost.tokens_per_second,
                   to_text(found.cost.step_time), plan_line(found))});
}

}  // namespace

ResultTable sweep_table(const std::vector<SweepRow>& rows) {
  const auto shown = swept(rows);
  std::vector<ResultColumn> columns;
  for (const Coordinate& one : coordinates()) {
    columns.push_back(one.column);
    if (std::find(shown.begin(), shown.end(), &one) == shown.end()) columns.back().head.clear();
  }
  columns.push_back({"budget_bytes", ""});
  const auto answer = answer_columns();
  columns.insert(columns.end(), answer.begin(), answer.end());
  ResultTable table(columns);
  for (const SweepRow& row : rows) {
    std::vector<ResultCell> cells;
    for (const Coordinate& one : coordinates()) cells.push_back(one.cell(row));
    cells.push_back({row.budget.value, ""});
    cells.insert(cells.end(), row.answer.begin(), row.answer.end());
    table.add_row(std::move(cells));
  }
  return table;
}

std::string sweep_title(const std::vector<SweepRow>& rows) {
  std::string out;
  for (const Coordinate& one : coordinates()) {
    const auto values = values_of(one, rows);
    if (values.size() != 1) continue;
    out += (out.empty() ? "" : ", ") + values.front() + one.unit;
  }
  return out;
}

std::string sweep_notes(const std::vector<SweepRow>& rows) {
  std::vector<std::string> lines;
  for (const SweepRow& row : rows) {
    for (const std::string& what : row.extrapolated) {
      std::string line = "extrapolated: " + what + "\n";
      if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(line);
    }
  }
  return fmt::format("{}", fmt::join(lines, ""));
}

OrderedJson sweep_to_json(const std::vector<SweepRow>& rows) {
  OrderedJson out = sweep_table(rows).to_json();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].extrapolated.empty()) out[i]["extrapolated"] = rows[i].extrapolated;
  }
  return {{"rows", out}};
}

std::optional<Chart> sweep_chart(const std::vector<SweepRow>& rows) {
  auto others = chosen(rows);
  const Coordinate* along = longest(others, rows);
  std::erase(others, along);
  Chart chart;
  chart.title = sweep_title(rows);
  chart.x_title = along->column.head;
  chart.y_title = "tokens/s";
  const auto names = values_of(*along, rows);
  std::map<std::string, int> colors;
  std::map<std::string, std::size_t> open;  // name of a line that goes on, and which it is
  for (std::size_t i = 0; i < names.size(); ++i) {
    chart.x_names.emplace_back(static_cast<double>(i), names[i]);
    for (const SweepRow& row : rows) {
      if (along->cell(row).text != names[i]) continue;
      const std::string name = line_name(row, others);
      const int color = colors.try_emplace(name, static_cast<int>(colors.size())).first->second;
      add_point(row, static_cast<double>(i), name, color, chart.lines, open);
    }
  }
  if (chart.lines.empty()) return std::nullopt;
  chart.description = fmt::format("Tokens per second over {}, {} plans.", along->column.head,
                                  std::count_if(rows.begin(), rows.end(), [](const SweepRow& row) {
                                    return row.result.best.has_value();
                                  }));
  return chart;
}

}  // namespace galvatron::planning
