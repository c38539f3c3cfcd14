// The commands of the binary. One file per command, without logic of its own: it fills an options
// struct, calls a library and prints the result.
//
// To add a command: an entry in kCommands (command_line.h), a file beside this one, its function
// here and its call in main.cpp. A command that needs torch goes to training/ and is called in
// training_main.cpp. `galvatron COMMAND --options-json` describes its options for
// tools/option_tables.py, which writes docs/options.md.
//
//   void add_search_command(CommandLine& line) {
//     const auto options = std::make_shared<Options>();
//     CLI::App& command = line.add("search", kExamples, [options] { return search(*options); });
//     add_options(command, options_of(*options));  // an OptionList bound to it
//   }
#pragma once
#include "galvatron/cli/command_line.h"
#include "galvatron/cli/options.h"

namespace galvatron::cli {

void add_models_command(CommandLine& line);
void add_search_command(CommandLine& line);
void add_simulate_command(CommandLine& line);
void add_check_command(CommandLine& line);
void add_convert_command(CommandLine& line);
void add_clusters_command(CommandLine& line);
void add_sweep_command(CommandLine& line);
void add_visualize_command(CommandLine& line);
void add_report_command(CommandLine& line);
// profile-hardware where it reads measurements instead of making them.
void add_nccl_tests_command(CommandLine& line);

}  // namespace galvatron::cli
