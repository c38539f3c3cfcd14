#include "galvatron/planning/result_table.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/base/table.h"

namespace galvatron::planning {
namespace {

std::string csv_field(const OrderedJson& value) {
  if (value.is_null()) return "";
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string joined(const std::vector<std::string>& fields) {
  std::string out;
  for (const std::string& field : fields) {
    if (&field != &fields.front()) out += ',';
    out += field;
  }
  return out + "\n";
}

}  // namespace

std::string escape_markup(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

void ResultTable::add_row(std::vector<ResultCell> cells) {
  GALV_CHECK(cells.size() == columns_.size(), "a row of ", cells.size(), " cells for ",
             columns_.size(), " columns");
  rows_.push_back(std::move(cells));
}

std::vector<std::size_t> ResultTable::shown() const {
  std::vector<std::size_t> out;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    const bool said = std::any_of(rows_.begin(), rows_.end(),
                                  [c](const auto& row) { return !row[c].text.empty(); });
    if (said && !columns_[c].head.empty()) out.push_back(c);
  }
  return out;
}

std::string ResultTable::to_text() const {
  std::vector<std::string> heads;
  for (const std::size_t c : shown()) heads.push_back(columns_[c].head);
  TextTable table(heads);
  for (std::size_t i = 0; i < heads.size(); ++i) {
    const bool left = columns_[shown()[i]].left;
    table.align(i, left ? TextTable::Align::kLeft : TextTable::Align::kRight);
  }
  for (const auto& row : rows_) {
    std::vector<std::string> cells;
    for (const std::size_t c : shown()) cells.push_back(row[c].text);
    table.add_row(cells);
  }
  return table.to_string();
}

std::string ResultTable::to_csv() const {
  std::vector<std::string> fields;
  for (const ResultColumn& column : columns_) fields.push_back(column.key);
  std::string out = joined(fields);
  for (const auto& row : rows_) {
    fields.clear();
    for (const ResultCell& cell : row) fields.push_back(csv_field(cell.value));
    out += joined(fields);
  }
  return out;
}

OrderedJson ResultTable::to_json() const {
  OrderedJson out = OrderedJson::array();
  for (const auto& row : rows_) {
    OrderedJson object = OrderedJson::object();
    for (std::size_t c = 0; c < columns_.size(); ++c) object[columns_[c].key] = row[c].value;
    out.push_back(std::move(object));
  }
  return out;
}

std::string ResultTable::to_html() const {
  const auto cell = [&](const char* tag, std::size_t c, const std::string& text) {
    const char* left = columns_[c].left ? " class=\"left\"" : "";
    return detail::concat("<", tag, left, ">", escape_markup(text), "</", tag, ">");
  };
  std::string out = "<table>\n<thead><tr>";
  for (const std::size_t c : shown()) out += cell("th", c, columns_[c].head);
  out += "</tr></thead>\n<tbody>\n";
  for (const auto& row : rows_) {
    out += "<tr>";
    for (const std::size_t c : shown()) out += cell("td", c, row[c].text);
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table>\n";
}

}  // namespace galvatron::planning
