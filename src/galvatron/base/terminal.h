// How wide the terminal is, and text that fits it.
#pragma once
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace galvatron {

// Columns of the terminal that `stream` goes to, or what COLUMNS says; nullopt: it goes to a file
// or a pipe, whose lines have no end. Never under 40.
std::optional<int> terminal_width(std::FILE* stream = stdout);

// Columns that `text` takes (UTF-8 code points).
std::size_t display_width(const std::string& text);

// Lines of at most `width` columns, broken at spaces; a longer word has a line of its own.
std::vector<std::string> wrap_text(const std::string& text, int width);

}  // namespace galvatron
