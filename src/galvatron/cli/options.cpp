#include "galvatron/cli/options.h"

#include <vector>

namespace galvatron::cli {
namespace {

CLI::Option* add_option(CLI::App& command, const Option& option) {
  const std::string shown = "--" + option.name;
  const std::string names = option.is_positional ? shown + "," + option.name : shown;
  const auto parse = option.parse;
  if (option.kind == OptionKind::kFlag) {
    return command
        .add_flag_function(
            shown, [=](std::int64_t count) { parse(count > 0 ? "true" : "false", shown); },
            option.help)
        ->take_last();
  }
  if (option.takes_several) {
    const auto parse_all = [=](const std::vector<std::string>& texts) {
      for (const std::string& text : texts) parse(text, shown);
    };
    return command.add_option_function<std::vector<std::string>>(names, parse_all, option.help);
  }
  const auto parse_one = [=](const std::string& text) { parse(text, shown); };
  return command.add_option_function<std::string>(names, parse_one, option.help)->take_last();
}

}  // namespace

void add_options(CLI::App& command, const OptionList& options) {
  for (const Option& option : options.all()) {
    CLI::Option* added = add_option(command, option);
    if (option.kind != OptionKind::kFlag) added->type_name(option.placeholder);
    if (!option.standard.empty()) added->default_str(option.standard);
    added->required(option.is_required)->group(option.group);
  }
}

std::vector<std::string> given_options(const CLI::App& command, const OptionList& options) {
  std::vector<std::string> out;
  for (const Option& option : options.all()) {
    if (command.count("--" + option.name) > 0) out.push_back(option.python_name());
  }
  return out;
}

std::string given_option_of(const CLI::App& command, const std::string& group) {
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group() == group && option->count() > 0) return option->get_name();
  }
  return "";
}

}  // namespace galvatron::cli
