// Options of a command, each with our own parsing, so that every wrong value gives one sentence
// (ConfigError) and the help shows units and defaults. All return CLI11's option for ->group(),
// ->required() and the like.
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "galvatron/base/enum_names.h"
#include "galvatron/base/units.h"

namespace galvatron::cli {

CLI::Option* add_text(CLI::App& command, const std::string& name, std::string& value,
                      const std::string& help, const std::string& placeholder = "TEXT");
// A file or folder name; nothing is checked here.
CLI::Option* add_path(CLI::App& command, const std::string& name, std::string& value,
                      const std::string& help);
// "16GiB", "80GB", "512MiB".
CLI::Option* add_bytes(CLI::App& command, const std::string& name, Bytes& value,
                       const std::string& help);
CLI::Option* add_bytes(CLI::App& command, const std::string& name, std::optional<Bytes>& value,
                       const std::string& help);
// Whole numbers within [min, max].
CLI::Option* add_count(CLI::App& command, const std::string& name, int& value, int min,
                       const std::string& help, int max = std::numeric_limits<int>::max());
CLI::Option* add_count(CLI::App& command, const std::string& name, std::int64_t& value,
                       std::int64_t min, const std::string& help,
                       std::int64_t max = std::numeric_limits<std::int64_t>::max());
CLI::Option* add_count(CLI::App& command, const std::string& name, std::optional<int>& value,
                       int min, const std::string& help, int max = std::numeric_limits<int>::max());
CLI::Option* add_seed(CLI::App& command, const std::string& name, std::uint64_t& value,
                      const std::string& help);
// A finite number within [min, max].
CLI::Option* add_number(CLI::App& command, const std::string& name, double& value, double min,
                        double max, const std::string& help);
CLI::Option* add_number(CLI::App& command, const std::string& name, std::optional<double>& value,
                        double min, double max, const std::string& help);
// One of `choices`; the error names the nearest.
CLI::Option* add_choice(CLI::App& command, const std::string& name, std::string& value,
                        const std::vector<std::string>& choices, const std::string& help);
// The same for an enum's value; `take` gets one of `names`.
CLI::Option* add_names(CLI::App& command, const std::string& name, const std::string& default_text,
                       const std::vector<std::string>& names, const std::string& help,
                       const std::function<void(const std::string&)>& take);
template <NamedEnum E>
CLI::Option* add_enum(CLI::App& command, const std::string& name, E& value,
                      const std::string& help) {
  return add_names(command, name, enum_text(value), enum_names<E>(), help,
                   [&value](const std::string& text) { value = parse_enum<E>(text); });
}
// "--name true" or "--name false".
CLI::Option* add_switch(CLI::App& command, const std::string& name, bool& value,
                        const std::string& help);
// "--name": true when given.
CLI::Option* add_flag(CLI::App& command, const std::string& name, bool& value,
                      const std::string& help);
// "17,17,3": whole numbers within [min, max].
CLI::Option* add_counts(CLI::App& command, const std::string& name, std::vector<int>& value,
                        int min, const std::string& help,
                        int max = std::numeric_limits<int>::max());
// "0.5,0.5": finite numbers within [min, max].
CLI::Option* add_numbers(CLI::App& command, const std::string& name, std::vector<double>& value,
                         double min, double max, const std::string& help);
// "a,b,c": names of `choices`.
CLI::Option* add_choices(CLI::App& command, const std::string& name,
                         std::vector<std::string>& value, const std::vector<std::string>& choices,
                         const std::string& help);

}  // namespace galvatron::cli
