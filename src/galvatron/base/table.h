// Aligned text tables for the terminal.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/terminal.h"

namespace galvatron {

class TextTable {
 public:
  enum class Align { kLeft, kRight };

  explicit TextTable(std::vector<std::string> headers);
  // Default: first column left, the others right.
  void align(std::size_t column, Align align);
  void add_row(std::vector<std::string> cells);
  // Lines end in '\n'; columns are separated by two spaces and each line starts with `indent`.
  // Where the columns are wider than `width`, the table goes on below with those that are left, the
  // first one repeated; nullopt: any width.
  std::string to_string(const std::string& indent = "  ",
                        std::optional<int> width = terminal_width()) const;

 private:
  // Columns that stand side by side; the first one is among them.
  std::string block(const std::vector<std::size_t>& columns, const std::string& indent) const;
  std::size_t column_width(std::size_t column) const;

  std::vector<std::string> headers_;
  std::vector<Align> align_;
  std::vector<std::vector<std::string>> rows_;
};

// "████████░░░░": `fraction` of `width` columns, clamped to [0, 1].
std::string text_bar(double fraction, int width);

}  // namespace galvatron
