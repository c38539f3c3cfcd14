#include "galvatron/cli/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"

namespace galvatron::cli {
namespace {

// "17", "-0.5": all of the text, or nothing.
template <typename T>
std::optional<T> parse_all(const std::string& text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

template <typename T>
std::string range_text(T min, T max) {
  if (max == std::numeric_limits<T>::max()) return fmt::format("of at least {}", min);
  return fmt::format("from {} to {}", min, max);
}

template <typename T>
T parse_count(const std::string& text, const std::string& name, T min, T max) {
  const std::optional<T> value = parse_all<T>(text);
  if (!value || *value < min || *value > max) {
    throw ConfigError(name, " needs a whole number ", range_text(min, max), ", not '", text, "'");
  }
  return *value;
}

double parse_number(const std::string& text, const std::string& name, double min, double max) {
  const std::optional<double> value = parse_all<double>(text);
  if (!value || !std::isfinite(*value) || *value < min || *value > max) {
    throw ConfigError(name, " needs a number ", range_text(min, max), ", not '", text, "'");
  }
  return *value;
}

bool parse_bool(const std::string& text, const std::string& name) {
  if (text == "true") return true;
  if (text == "false") return false;
  throw ConfigError(name, " needs true or false, not '", text, "'");
}

const std::string& parse_choice(const std::string& text, const std::string& name,
                                const std::vector<std::string>& choices) {
  const auto found = std::find(choices.begin(), choices.end(), text);
  if (found != choices.end()) return *found;
  throw ConfigError(name, " needs one of ", fmt::format("{}", fmt::join(choices, ", ")), ", not '",
                    text, "'", did_you_mean(text, choices));
}

std::vector<std::string> parse_list(const std::string& text) {
  std::vector<std::string> out;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

// Shortest text that reads back as the same number.
std::string number_text(double value) { return fmt::format("{}", value); }

template <typename Parse>
CLI::Option* add(CLI::App& command, const std::string& name, const std::string& help,
                 const std::string& placeholder, const std::string& default_text, Parse parse) {
  CLI::Option* option = command.add_option_function<std::string>(name, parse, help);
  option->type_name(placeholder)->take_last();
  if (!default_text.empty()) option->default_str(default_text);
  return option;
}

}  // namespace

CLI::Option* add_text(CLI::App& command, const std::string& name, std::string& value,
                      const std::string& help, const std::string& placeholder) {
  return add(command, name, help, placeholder, value, [&value, name](const std::string& text) {
    if (text.empty()) throw ConfigError(name, " is empty");
    value = text;
  });
}

CLI::Option* add_path(CLI::App& command, const std::string& name, std::string& value,
                      const std::string& help) {
  return add_text(command, name, value, help, "PATH");
}

CLI::Option* add_bytes(CLI::App& command, const std::string& name, Bytes& value,
                       const std::string& help) {
  return add(command, name, help, "SIZE", value.value > 0 ? to_text(value) : "",
             [&value, name](const std::string& text) { value = parse_bytes(text, name); });
}

CLI::Option* add_bytes(CLI::App& command, const std::string& name, std::optional<Bytes>& value,
                       const std::string& help) {
  return add(command, name, help, "SIZE", value ? to_text(*value) : "",
             [&value, name](const std::string& text) { value = parse_bytes(text, name); });
}

CLI::Option* add_count(CLI::App& command, const std::string& name, int& value, int min,
                       const std::string& help, int max) {
  return add(command, name, help, "N", std::to_string(value),
             [&value, name, min, max](const std::string& text) {
               value = parse_count(text, name, min, max);
             });
}

CLI::Option* add_count(CLI::App& command, const std::string& name, std::int64_t& value,
                       std::int64_t min, const std::string& help, std::int64_t max) {
  return add(command, name, help, "N", std::to_string(value),
             [&value, name, min, max](const std::string& text) {
               value = parse_count(text, name, min, max);
             });
}

CLI::Option* add_count(CLI::App& command, const std::string& name, std::optional<int>& value,
                       int min, const std::string& help, int max) {
  return add(command, name, help, "N", value ? std::to_string(*value) : "",
             [&value, name, min, max](const std::string& text) {
               value = parse_count(text, name, min, max);
             });
}

CLI::Option* add_seed(CLI::App& command, const std::string& name, std::uint64_t& value,
                      const std::string& help) {
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  return add(command, name, help, "N", std::to_string(value),
             [&value, name](const std::string& text) {
               value = parse_count<std::uint64_t>(text, name, 0, kMax);
             });
}

CLI::Option* add_number(CLI::App& command, const std::string& name, double& value, double min,
                        double max, const std::string& help) {
  return add(command, name, help, "X", number_text(value),
             [&value, name, min, max](const std::string& text) {
               value = parse_number(text, name, min, max);
             });
}

CLI::Option* add_number(CLI::App& command, const std::string& name, std::optional<double>& value,
                        double min, double max, const std::string& help) {
  return add(command, name, help, "X", value ? number_text(*value) : "",
             [&value, name, min, max](const std::string& text) {
               value = parse_number(text, name, min, max);
             });
}

CLI::Option* add_choice(CLI::App& command, const std::string& name, std::string& value,
                        const std::vector<std::string>& choices, const std::string& help) {
  return add_names(command, name, value, choices, help,
                   [&value](const std::string& text) { value = text; });
}

CLI::Option* add_names(CLI::App& command, const std::string& name, const std::string& default_text,
                       const std::vector<std::string>& names, const std::string& help,
                       const std::function<void(const std::string&)>& take) {
  return add(
      command, name, help, fmt::format("{}", fmt::join(names, "|")), default_text,
      [take, name, names](const std::string& text) { take(parse_choice(text, name, names)); });
}

CLI::Option* add_switch(CLI::App& command, const std::string& name, bool& value,
                        const std::string& help) {
  return add(command, name, help, "true|false", value ? "true" : "false",
             [&value, name](const std::string& text) { value = parse_bool(text, name); });
}

CLI::Option* add_flag(CLI::App& command, const std::string& name, bool& value,
                      const std::string& help) {
  return command.add_flag(name, value, help)->take_last();
}

CLI::Option* add_counts(CLI::App& command, const std::string& name, std::vector<int>& value,
                        int min, const std::string& help, int max) {
  return add(command, name, help, "N,N,...", fmt::format("{}", fmt::join(value, ",")),
             [&value, name, min, max](const std::string& text) {
               value.clear();
               for (const std::string& part : parse_list(text))
                 value.push_back(parse_count(part, name, min, max));
             });
}

CLI::Option* add_numbers(CLI::App& command, const std::string& name, std::vector<double>& value,
                         double min, double max, const std::string& help) {
  return add(command, name, help, "X,X,...", fmt::format("{}", fmt::join(value, ",")),
             [&value, name, min, max](const std::string& text) {
               value.clear();
               for (const std::string& part : parse_list(text))
                 value.push_back(parse_number(part, name, min, max));
             });
}

CLI::Option* add_choices(CLI::App& command, const std::string& name,
                         std::vector<std::string>& value, const std::vector<std::string>& choices,
                         const std::string& help) {
  return add(command, name, help + fmt::format(" ({})", fmt::join(choices, ", ")), "NAME,...",
             fmt::format("{}", fmt::join(value, ",")),
             [&value, name, choices](const std::string& text) {
               value.clear();
               for (const std::string& part : parse_list(text))
                 value.push_back(parse_choice(part, name, choices));
             });
}

}  // namespace galvatron::cli
