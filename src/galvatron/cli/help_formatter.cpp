#include "galvatron/cli/help_formatter.h"

#include <sstream>

#include "galvatron/base/terminal.h"

namespace galvatron::cli {
namespace {

constexpr int kUsualWidth = 100;
// Where explanations begin beside names, and in a narrow terminal below them.
constexpr std::size_t kColumn = 38, kNarrowColumn = 6;
constexpr int kNarrow = 80;

// `text` from column `column` on, where its next lines begin too.
std::string wrapped(const std::string& text, int width, std::size_t column) {
  std::string out;
  for (const std::string& line : wrap_text(text, width - static_cast<int>(column)))
    out += (out.empty() ? "" : "\n" + std::string(column, ' ')) + line;
  return out;
}

bool fits(const std::string& line, int width) {
  return display_width(line) <= static_cast<std::size_t>(width);
}

// A shell command that may stand on several lines.
std::string wrapped_command(const std::string& line, int width) {
  if (fits(line, width)) return line + "\n";
  constexpr std::size_t kIndent = 2, kDeeper = 6;
  std::string out;
  const auto parts = wrap_text(line, width - static_cast<int>(kDeeper) - 2);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    out += std::string(i == 0 ? kIndent : kDeeper, ' ') + parts[i];
    out += i + 1 < parts.size() ? " \\\n" : "\n";
  }
  return out;
}

}  // namespace

HelpFormatter::HelpFormatter() : HelpFormatter(terminal_width().value_or(kUsualWidth)) {}

HelpFormatter::HelpFormatter(int width) : width_(width) {
  column_width(width < kNarrow ? kNarrowColumn : kColumn);
  label("SUBCOMMAND", "COMMAND");
  label("OPTIONS", "options");
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string name,
                                     CLI::AppFormatMode mode) const {
  return CLI::detail::find_and_replace(CLI::Formatter::make_help(app, std::move(name), mode),
                                       "\n\n\n", "\n\n");
}

std::string HelpFormatter::make_description(const CLI::App* app) const {
  std::string out;
  std::istringstream lines(app->get_description());
  for (std::string line; std::getline(lines, line);) out += wrapped(line, width_, 0) + "\n";
  return out;
}

std::string HelpFormatter::make_footer(const CLI::App* app) const {
  std::string out;
  std::istringstream lines(app->get_footer());
  for (std::string line; std::getline(lines, line);) {
    out += line.starts_with(' ') ? wrapped_command(line, width_) : wrapped(line, width_, 0) + "\n";
  }
  return out;
}

std::string HelpFormatter::entry(const std::string& name, const std::string& text) const {
  const std::size_t column = get_column_width();
  std::string out = "  " + name;
  const bool beside = out.size() < column;
  out += beside ? std::string(column - out.size(), ' ') : "\n" + std::string(column, ' ');
  return out + wrapped(text, width_, column) + "\n";
}

std::string HelpFormatter::make_positionals(const CLI::App* app) const {
  const auto nameless = app->get_options([](const CLI::Option* option) {
    return option->get_positional() && option->get_lnames().empty();
  });
  return nameless.empty() ? "" : make_group(get_label("POSITIONALS"), true, nameless);
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  return entry(command->get_display_name(true), command->get_description());
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
  return entry(make_option_name(option, is_positional) + make_option_opts(option),
               make_option_desc(option));
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  const std::string placeholder = option->get_type_size() == 0 ? "" : option->get_type_name();
  return placeholder.empty() ? "" : " " + placeholder;
}

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  std::string text = option->get_description();
  if (option->get_required()) text += " (required)";
  if (!option->get_default_str().empty()) text += " [" + option->get_default_str() + "]";
  return text;
}

}  // namespace galvatron::cli
