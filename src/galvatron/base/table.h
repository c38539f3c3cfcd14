// Aligned text tables for the terminal.
#pragma once
#include <string>
#include <vector>

namespace galvatron {

class TextTable {
 public:
  enum class Align { kLeft, kRight };

  explicit TextTable(std::vector<std::string> headers);
  // Default: first column left, the others right.
  void align(std::size_t column, Align align);
  void add_row(std::vector<std::string> cells);
  // Lines end in '\n'; columns are separated by two spaces and each line starts with `indent`.
  std::string to_string(const std::string& indent = "  ") const;

 private:
  std::vector<std::string> headers_;
  std::vector<Align> align_;
  std::vector<std::vector<std::string>> rows_;
};

// Columns that `text` takes in a terminal (UTF-8 code points).
std::size_t display_width(const std::string& text);

// "████████░░░░": `fraction` of `width` columns, clamped to [0, 1].
std::string text_bar(double fraction, int width);

}  // namespace galvatron
