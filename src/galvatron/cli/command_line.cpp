#include "galvatron/cli/command_line.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <utility>

#include "galvatron/base/error.h"
#include "galvatron/base/foreign_options.h"
#include "galvatron/base/json.h"
#include "galvatron/cli/help_formatter.h"

namespace galvatron::cli {
namespace {

constexpr const char* kSummary =
    "Galvatron: automatic hybrid-parallel training of Transformers.\n"
    "Measures hardware and model, searches the best plan for every layer, and trains with it.";
constexpr const char* kFooter =
    "galvatron COMMAND --help shows a command's options, units, defaults and examples.\n"
    "Every option can also stand in a TOML file: galvatron COMMAND --config run.toml";

constexpr const char* kDescribe = "--options-json";  // alone, behind the command; not in its help

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

// "--steps" of "--steps=3".
std::string option_name(const std::string& argument) {
  return argument.substr(0, argument.find('='));
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

bool contains(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

void check_options(const CLI::App& command, const std::vector<std::string>& arguments) {
  const std::vector<std::string> known = option_names(command);
  for (const std::string& argument : arguments) {
    if (!argument.starts_with("--")) continue;
    const std::string name = option_name(argument);
    if (contains(known, name)) continue;
    throw ConfigError("galvatron ", command.get_name(), " has no option ", name,
                      unknown_option_hint(name, known, /*dashes=*/true));
  }
}

// CLI11 takes a flag's value for a number.
void check_flags(const CLI::App& command, const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    const std::size_t sign = argument.find('=');
    if (!argument.starts_with("--") || sign == std::string::npos) continue;
    const std::string value = argument.substr(sign + 1);
    const CLI::Option* option = command.get_option_no_throw(option_name(argument));
    if (option == nullptr || option->get_expected_max() > 0) continue;
    if (value != "true" && value != "false")
      throw ConfigError(option_name(argument), " needs true or false, not '", value, "'");
  }
}

// What --help says, for tools: the docs' tables are made of it.
OrderedJson describe(const CLI::App& command) {
  OrderedJson options = OrderedJson::array();
  for (const CLI::Option* option : command.get_options()) {
    const bool is_flag = option->get_expected_max() == 0;
    options.push_back({{"name", option->get_name()},
                       {"values", is_flag ? "" : option->get_type_name()},
                       {"default", option->get_default_str()},
                       {"required", option->get_required()},
                       {"help", option->get_description()},
                       {"group", option->get_group()}});
  }
  return options;
}

// The value of --config, or "".
std::string config_path(const std::vector<std::string>& arguments) {
  std::string path;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--config" && i + 1 < arguments.size()) path = arguments[i + 1];
    if (arguments[i].starts_with("--config="))
      path = arguments[i].substr(std::string("--config=").size());
  }
  return path;
}

// `line` without its comment; `depth` counts the lists that it leaves open.
std::string without_comment(const std::string& line, int& depth) {
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '#') {
      return line.substr(0, i);
    } else {
      depth += c == '[' ? 1 : c == ']' ? -1 : 0;
    }
  }
  return line;
}

// A list on several lines becomes one line: CLI11 wants its first value beside the bracket.
std::vector<std::string> read_lines(std::istream& file) {
  std::vector<std::string> lines;
  int depth = 0;
  for (std::string line; std::getline(file, line);) {
    const bool goes_on = depth > 0;
    const std::string text = without_comment(line, depth);
    if (goes_on) {
      lines.back() += " " + CLI::detail::trim_copy(text);
    } else {
      lines.push_back(CLI::detail::trim_copy(text));
    }
  }
  return lines;
}

// CLI11 would join the values of both.
void refuse_repeated_keys(const std::string& path, const std::vector<std::string>& lines) {
  std::set<std::pair<std::string, std::string>> seen;
  std::string table;
  for (const std::string& line : lines) {
    if (line.starts_with('[')) table = line;
    if (line.empty() || line.starts_with('[')) continue;
    std::string key = CLI::detail::trim_copy(line.substr(0, line.find('=')));
    CLI::detail::remove_quotes(key);
    if (seen.emplace(table, key).second) continue;
    throw ConfigError(path, ": '", key, "' stands twice", table.empty() ? "" : " in " + table,
                      "; several values are one list: ", key, " = [\"...\", \"...\"]");
  }
}

std::vector<CLI::ConfigItem> read_config(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    throw ConfigError("--config: ", path, " is a folder; give a TOML file");
  std::ifstream file(path);
  if (!file) throw ConfigError("--config: cannot read ", path);
  const std::vector<std::string> lines = read_lines(file);
  refuse_repeated_keys(path, lines);
  std::stringstream text;
  for (const std::string& line : lines) text << line << '\n';
  try {
    return CLI::ConfigTOML().from_config(text);
  } catch (const CLI::Error& error) {
    throw ConfigError(path, ": ", error.what());
  }
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ",") + word;
  return out;
}

// The values as arguments of the option: each its own where it may be given several times.
void add_arguments(const CLI::App& command, const std::string& name,
                   const std::vector<std::string>& values, std::vector<std::string>& out) {
  const bool takes_several = command.get_option("--" + name)->get_expected_max() > 1;
  if (!takes_several) {
    out.push_back("--" + name + "=" + joined(values));
    return;
  }
  for (const std::string& value : values) out.push_back("--" + name + "=" + value);
}

// What CLI11 says, as the end of our sentence.
std::string sentence(const CLI::ParseError& error) {
  std::string text = error.what();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

int fail(int exit_code, const std::string& sentence) {
  std::fflush(stdout);
  std::fprintf(stderr, "galvatron: error: %s\n", sentence.c_str());
  return exit_code;
}

}  // namespace

int run_guarded(const std::function<int()>& command,
                const std::function<std::string(const std::exception&)>& reason) {
  try {
    return command();
  } catch (const ConfigError& error) {
    return fail(kExitBadInput, error.what());
  } catch (const RuntimeFailure& error) {
    return fail(kExitRuntimeFailure, error.what());
  } catch (const InternalError& error) {
    return fail(kExitInternalError, error.what());
  } catch (const std::exception& error) {
    return fail(kExitInternalError, reason(error));
  }
}

std::vector<std::string> with_config_file(const std::vector<std::string>& arguments,
                                          const CLI::App& command,
                                          const std::vector<std::string>& all_commands) {
  const std::string path = config_path(arguments);
  if (path.empty()) return arguments;
  std::vector<std::string> known;
  for (const std::string& name : option_names(command)) {
    if (name != "--help" && name != "--config") known.push_back(name.substr(2));
  }
  std::vector<std::string> given;
  for (const std::string& argument : arguments) given.push_back(option_name(argument));

  // What a table says of a key comes behind, and takes the place of, what the top says.
  std::map<std::string, std::vector<std::string>> values;
  for (const CLI::ConfigItem& item : read_config(path)) {
    if (item.name == "++" || item.name == "--")
      continue;  // CLI11's marks of a table's begin and end
    const std::string table = item.parents.empty() ? command.get_name() : item.parents[0];
    if (item.parents.size() > 1 || !contains(all_commands, table)) {
      throw ConfigError(path, ": no command has the name of table [", table, "]",
                        did_you_mean(table, all_commands));
    }
    if (table != command.get_name()) continue;
    if (!contains(known, item.name)) {
      throw ConfigError(path, ": '", item.name, "' is no option of galvatron ", command.get_name(),
                        unknown_option_hint(item.name, known, /*dashes=*/true));
    }
    if (!contains(given, "--" + item.name)) values[item.name] = item.inputs;
  }
  // In front: a value without its option's name is then refused beside the file's, not lost.
  std::vector<std::string> out;
  for (const auto& [name, inputs] : values) add_arguments(command, name, inputs, out);
  out.insert(out.end(), arguments.begin(), arguments.end());
  return out;
}

CommandLine::CommandLine() : app_(kSummary, "galvatron") {
  app_.formatter(std::make_shared<HelpFormatter>());
  app_.footer(kFooter);
  app_.set_help_flag("-h,--help", "Show this help");
  app_.set_version_flag("--version", std::string("galvatron ") + GALVATRON_VERSION,
                        "Show the version");
  app_.require_subcommand(0, 1);  // a command's name behind the first is a stray word
  for (const CommandEntry& entry : kCommands)
    app_.add_subcommand(entry.name, entry.summary)->group("Commands");
}

CLI::App& CommandLine::add(const std::string& name, const std::string& examples, Run run) {
  CLI::App& command = *app_.get_subcommand(name);
  command.footer(examples);
  command.set_help_flag("-h,--help", "Show this help");
  // Read before CLI11 parses: see with_config_file().
  command.add_option("--config", "TOML file with options of this command; the command line wins")
      ->type_name("PATH");
  runs_[name] = std::move(run);
  return command;
}

void CommandLine::forward(const std::string& name, Run run) { forwarded_[name] = std::move(run); }

void CommandLine::keep(const std::string& name, const std::string& option) {
  kept_[name] = "--" + option;
}

bool CommandLine::is_forwarded(const std::string& name) const {
  if (!forwarded_.contains(name)) return false;
  const auto option = kept_.find(name);
  return option == kept_.end() ||
         std::none_of(arguments_.begin(), arguments_.end(), [&](const std::string& argument) {
           return option_name(argument) == option->second;
         });
}

int CommandLine::run(int argc, const char* const* argv) {
  arguments_.assign(argv + std::min(argc, 1), argv + argc);
  if (arguments_.empty()) {
    std::cout << app_.help();
    return kExitBadInput;
  }
  const std::string& first = arguments_[0];
  if (first == "-h" || first == "--help") {
    std::cout << app_.help();
    return 0;
  }
  if (first == "--version") {
    std::cout << app_.version() << '\n';
    return 0;
  }
  const std::vector<std::string> commands = command_names(app_);
  if (first.starts_with("-"))
    throw ConfigError("the first argument is a command, not '", first, "'; see galvatron --help");
  if (!contains(commands, first)) {
    const std::string hint = did_you_mean(first, commands);
    throw ConfigError("there is no command '", first, "'",
                      hint.empty() ? "; see galvatron --help" : hint);
  }
  if (is_forwarded(first)) return forwarded_.at(first)();
  return parse_and_run(first, {arguments_.begin() + 1, arguments_.end()});
}

int CommandLine::parse_and_run(const std::string& name, const std::vector<std::string>& arguments) {
  CLI::App& command = *app_.get_subcommand(name);
  if (arguments == std::vector<std::string>{kDescribe}) {
    std::cout << describe(command).dump(2) << '\n';
    return 0;
  }
  check_options(command, arguments);
  std::vector<std::string> all = with_config_file(arguments, command, command_names(app_));
  check_flags(command, all);
  all.insert(all.begin(), name);
  std::reverse(all.begin(), all.end());  // CLI11 takes them from the back
  try {
    app_.parse(std::move(all));
  } catch (const CLI::Success& request) {
    app_.exit(request);
    return 0;
  } catch (const CLI::ParseError& error) {
    throw ConfigError("galvatron ", name, ": ", sentence(error));
  }
  return runs_.at(name)();
}

}  // namespace galvatron::cli
