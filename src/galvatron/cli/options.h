// Options of a command (base/option.h) on the command line.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "galvatron/base/option.h"

namespace galvatron::cli {

// "--seq-length" of every option of the list; wrong values are its own sentences.
void add_options(CLI::App& command, const OptionList& options);

// Those of the list that were given, by their names in Python.
std::vector<std::string> given_options(const CLI::App& command, const OptionList& options);

// The first option of `group` that was given, as "--tp-degree"; empty: none.
std::string given_option_of(const CLI::App& command, const std::string& group);

}  // namespace galvatron::cli
