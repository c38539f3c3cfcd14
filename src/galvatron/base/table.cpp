#include "galvatron/base/table.h"

#include <algorithm>
#include <cmath>

#include "galvatron/base/error.h"

namespace galvatron {

std::size_t display_width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

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

std::string TextTable::to_string(const std::string& indent) const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < headers_.size(); ++c) {
    std::size_t width = display_width(headers_[c]);
    for (const auto& row : rows_) width = std::max(width, display_width(row[c]));
    widths.push_back(width);
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string out = indent;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const std::string pad(widths[c] - display_width(cells[c]), ' ');
      const bool last = c + 1 == cells.size();
      out += align_[c] == Align::kLeft ? cells[c] + (last ? "" : pad) : pad + cells[c];
      if (!last) out += "  ";
    }
    return out + "\n";
  };
  std::string out = line(headers_);
  std::vector<std::string> rules;
  for (std::size_t width : widths) {
    std::string rule;
    for (std::size_t i = 0; i < width; ++i) rule += "─";
    rules.push_back(rule);
  }
  out += line(rules);
  for (const auto& row : rows_) out += line(row);
  return out;
}

}  // namespace galvatron
