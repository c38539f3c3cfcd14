// The commands of the binary. One file per command, without logic of its own: it fills an options
// struct, calls a library and prints the result.
//
// To add a command: write <command>.cpp beside this file (commands that need torch are named
// train*, profile_hardware* or profile_model*, so that a planner-only build leaves them out),
// declare its function here and call it in main.cpp.
//
//   void add_search_command(CommandLine& line) {
//     const auto options = std::make_shared<Options>();
//     CLI::App& command = line.add("search", "Find the best plan", kExamples, [options] { return
//     search(*options); }); add_text(command, "--model", options->model, "Preset name, config.json
//     or folder")->required()->group("Input"); add_bytes(command, "--memory", options->memory,
//     "Memory of one device")->group("Cluster");
//   }
#pragma once
#include "galvatron/cli/command_line.h"
#include "galvatron/cli/options.h"

namespace galvatron::cli {

// --- the planning half ---
void add_search_command(CommandLine& line);
void add_simulate_command(CommandLine& line);

// --- the training half ---
#ifdef GALVATRON_TORCH
void add_profile_hardware_command(CommandLine& line);
void add_profile_model_command(CommandLine& line);
void add_train_command(CommandLine& line);
#endif

}  // namespace galvatron::cli
