#include "galvatron/base/table.h"

#include <algorithm>
#include <cmath>

#include "galvatron/base/error.h"

namespace galvatron {
namespace {

constexpr std::size_t kGap = 2;  // spaces between columns

}  // namespace

std::string text_bar(double fraction, int width) {
  const int filled = static_cast<int>(std::lround(std::clamp(fraction, 0.0, 1.0) * width));
  std::string out;
  for (int i = 0; i < width; ++i) out += i < filled ? "█" : "░";
  return out;
}

TextTable::TextTable(std::vector<std::string> headers)
    : headers_(std::move(headers)), align_(headers_.size(), Align::kRight) {
  if (!align_.empty()) align_[0] = Align::kLeft;
}

void TextTable::align(std::size_t column, Align align) { align_.at(column) = align; }

void TextTable::add_row(std::vector<std::string> cells) {
  GALV_CHECK(cells.size() == headers_.size(), "a row of ", cells.size(), " cells for ",
             headers_.size(), " columns");
  rows_.push_back(std::move(cells));
}

std::size_t TextTable::column_width(std::size_t column) const {
  std::size_t width = display_width(headers_[column]);
  for (const auto& row : rows_) width = std::max(width, display_width(row[column]));
  return width;
}

std::string TextTable::to_string(const std::string& indent, std::optional<int> width) const {
  if (headers_.empty()) return "";
  std::string out;
  std::vector<std::size_t> columns = {0};
  const std::size_t first = display_width(indent) + column_width(0);
  std::size_t used = first;
  for (std::size_t c = 1; c < headers_.size(); ++c) {
    const std::size_t more = kGap + column_width(c);
    if (width && columns.size() > 1 && used + more > static_cast<std::size_t>(*width)) {
      out += block(columns, indent) + "\n";
      columns = {0};
      used = first;
    }
    columns.push_back(c);
    used += more;
  }
  return out + block(columns, indent);
}

std::string TextTable::block(const std::vector<std::size_t>& columns,
                             const std::string& indent) const {
  std::vector<std::string> rules(headers_.size());
  for (const std::size_t c : columns) {
    for (std::size_t i = 0; i < column_width(c); ++i) rules[c] += "─";
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string out = indent;
    for (const std::size_t c : columns) {
      const std::string pad(column_width(c) - display_width(cells[c]), ' ');
      const bool last = c == columns.back();
      out += align_[c] == Align::kLeft ? cells[c] + (last ? "" : pad) : pad + cells[c];
      if (!last) out += std::string(kGap, ' ');
    }
    return out + "\n";
  };
  std::string out = line(headers_) + line(rules);
  for (const auto& row : rows_) out += line(row);
  return out;
}

}  // namespace galvatron
